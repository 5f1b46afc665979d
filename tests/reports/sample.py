"""A realistic bundle with all eight verdicts, for the tests of the reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from reports import keys
from reports.bundle import Bundle
from reports.properties import PropertyInfo
from reports.record import Finding, Measure, Record
from reports.run import ClusterInfo, Listed, RunInfo
from reports.seal import Seal
from reports.words import Severity, Verdict

CLUSTER = "embedded-7f3a"
STARTED, ENDED = "2026-11-21T08:15:00Z", "2026-11-21T08:17:12Z"
COLLECTED, EXPIRES = "2026-11-21T08:16:00Z", "2026-11-28T08:16:00Z"

CATALOGUE = (
    # id, title, severity, required, requirement ids
    (
        "pod-security.run-as-non-root",
        "Every container runs as a user other than root",
        "high",
        True,
        ("checklist.4.1",),
    ),
    (
        "pod-security.drop-all-capabilities",
        "Every container drops the capability set ALL",
        "high",
        True,
        ("checklist.4.2", "nsa.3"),
    ),
    (
        "pod-security.read-only-root",
        "Every container's root file system is read-only",
        "medium",
        True,
        ("checklist.4.3",),
    ),
    ("workloads.probes", "Every long-running container has a readiness probe", "high", True, ("checklist.7.2",)),
    ("workloads.resource-requests", "Every container requests CPU and memory", "medium", True, ("checklist.7.1",)),
    (
        "rbac.no-wildcard-roles",
        "No role outside of the system grants every verb on every resource",
        "critical",
        True,
        ("checklist.5.1",),
    ),
    (
        "rbac.no-secret-listing",
        "No service account can list the Secrets of all namespaces",
        "critical",
        True,
        ("checklist.5.3",),
    ),
    (
        "high-availability.replicas",
        "Every Deployment that serves traffic has at least two replicas",
        "high",
        True,
        ("checklist.8.1",),
    ),
    (
        "high-availability.failover-bound",
        "A new leader acts within the bound that its Lease sets",
        "critical",
        True,
        ("operator.2.1",),
    ),
    ("high-availability.failover-15s", "A new leader acts within 15 seconds", "high", False, ("operator.2.2",)),
    (
        "high-availability.pdb",
        "Every workload with several replicas has a disruption budget",
        "medium",
        True,
        ("checklist.8.3",),
    ),
    ("storage.default-class", "Exactly one storage class is the default", "medium", True, ("checklist.9.1",)),
    ("storage.csi-snapshots", "Volumes of stateful workloads can be snapshotted", "medium", True, ("checklist.9.4",)),
    ("storage.encryption-at-rest", "Secrets are encrypted at rest", "critical", True, ("checklist.6.1",)),
    (
        "network-policy.default-deny",
        "Every workload namespace denies traffic by default",
        "high",
        True,
        ("checklist.10.1",),
    ),
    ("network-policy.enforced", "A denied connection does not come through", "critical", False, ("checklist.10.4",)),
    (
        "infrastructure.control-plane-nodes",
        "The control plane survives the loss of one member",
        "critical",
        True,
        ("checklist.1.1",),
    ),
    ("infrastructure.backup-rehearsed", "A restore from backup was rehearsed", "high", True, ("checklist.1.5",)),
    (
        "infrastructure.certificates",
        "No certificate of the control plane expires within 30 days",
        "high",
        False,
        ("checklist.1.7",),
    ),
    (
        "load.api-latency",
        "The API answers reads within 100 ms at the 95th percentile",
        "high",
        True,
        ("checklist.12.1",),
    ),
)

NAMESPACES = {
    "shop": ("cart", "checkout", "catalogue"),
    "payments": ("ledger", "gateway"),
    "monitoring": ("prometheus",),
}


def catalogue() -> dict[str, PropertyInfo]:
    """Twenty properties in eight areas."""
    return {
        name: PropertyInfo(
            id=name,
            title=title,
            severity=Severity(severity),
            ttl="7d",
            required=required,
            selected=True,
            doc=f"docs/properties/{name.replace('.', '/')}.md",
            source_digest="0" * 64,
            requirements=requirements,
        )
        for name, title, severity, required, requirements in CATALOGUE
    }


def run_info(**changes: object) -> RunInfo:
    """The facts of the sample run."""
    facts: dict[str, object] = {
        "clusters": (
            ClusterInfo(
                id=CLUSTER,
                kind="embedded",
                fingerprint="9d2c6f1e-58b4-4a37-9f6e-0c1d2e3f4a5b",
                server_version="v1.36.2",
                capabilities=("api", "objects", "processes", "simulated-nodes"),
            ),
        ),
        "suite_version": "0.1.0",
        "started": STARTED,
        "ended": ENDED,
        "tools": {"pytest": "9.2.0", "chaostoolkit": "1.19.0", "locust": "2.47.1"},
        "profile": "production",
        "policy_digest": "sha256:5f0c2b1d8e",
        "selection": ("suites", "chaos", "load"),
        "waivers": (
            {
                "property": "pod-security.read-only-root",
                "subjects": "StatefulSet monitoring/prometheus",
                "reason": "writes its write-ahead log below its working directory; fixed in the next chart",
                "owner": "observability",
                "approver": "R. Okafor",
                "expires": "2027-01-31",
                "state": "used",
            },
            {
                "property": "rbac.no-wildcard-roles",
                "subjects": "ClusterRole legacy-ci",
                "reason": "the old pipeline; it is gone since",
                "owner": "delivery",
                "approver": "R. Okafor",
                "expires": "2026-12-31",
                "state": "unused",
            },
        ),
        "attestations": (
            {
                "property": "infrastructure.backup-rehearsed",
                "statement": "etcd was restored into an empty cluster within 22 minutes, from the snapshot of the night before.",
                "owner": "M. Lindqvist",
                "role": "platform lead",
                "date": "2026-11-03",
                "link": "tickets/OPS-411",
                "expires": "2027-02-03",
                "state": "used",
            },
        ),
        "inventory": (
            Listed(kind="deployments.apps", count=4, resource_version="1204"),
            Listed(kind="pods", count=23, resource_version="1207"),
        ),
        "complete": True,
        "requirements": 412,
    }
    return RunInfo(**{**facts, **changes})  # type: ignore[arg-type]


def record(name: str, subject: str, verdict: str = "pass", **fields: object) -> Record:
    """One record of the sample's cluster; a severity of its own only where the catalogue does not know the property."""
    known = {each[0]: each[2] for each in CATALOGUE}
    facts: dict[str, object] = {
        "cluster": CLUSTER,
        "property": name,
        "subject": subject,
        "verdict": Verdict(verdict),
        "severity": Severity(known.get(name, "low")),
        "collected": COLLECTED,
        "expires": EXPIRES,
        "examined": 1,
    }
    return Record(**{**facts, **fields})  # type: ignore[arg-type]


def workload_records(name: str) -> list[Record]:
    """A pass for every workload of the platform."""
    return [
        record(name, f"Deployment {namespace}/{workload}", namespace=namespace, examined=2)
        for namespace, workloads in NAMESPACES.items()
        for workload in workloads
    ]


def good_records() -> list[Record]:
    """Records under which every required property holds: pass, waived, attested and not applicable."""
    records = [
        each
        for name in (
            "pod-security.run-as-non-root",
            "pod-security.drop-all-capabilities",
            "workloads.probes",
            "workloads.resource-requests",
            "high-availability.replicas",
            "high-availability.pdb",
        )
        for each in workload_records(name)
    ]
    records += [
        *(each for each in workload_records("pod-security.read-only-root") if each.namespace != "monitoring"),
        record(
            "pod-security.read-only-root",
            "StatefulSet monitoring/prometheus",
            "waived",
            namespace="monitoring",
            findings=(Finding("container prometheus", "readOnlyRootFilesystem: true", "unset, so false"),),
            waiver={
                "reason": "writes its write-ahead log below its working directory",
                "owner": "observability",
                "approver": "R. Okafor",
                "expires": "2027-01-31",
            },
        ),
        record("rbac.no-wildcard-roles", "cluster", examined=71),
        record("rbac.no-secret-listing", "cluster", examined=71),
        record("storage.default-class", "cluster"),
        record(
            "storage.csi-snapshots",
            "cluster",
            "not-applicable",
            reason="no workload of the cluster claims a volume (0 PersistentVolumeClaims in 6 namespaces)",
        ),
        record("storage.encryption-at-rest", "cluster"),
        *(record("network-policy.default-deny", f"Namespace {name}", namespace=name) for name in NAMESPACES),
        record(
            "network-policy.enforced", "cluster", "not-assessed", reason="the cluster cannot do this: pods, traffic"
        ),
        record("infrastructure.control-plane-nodes", "cluster", examined=3),
        record(
            "infrastructure.backup-rehearsed",
            "cluster",
            "attested",
            attestation={
                "statement": "etcd was restored into an empty cluster within 22 minutes.",
                "owner": "M. Lindqvist",
                "role": "platform lead",
                "date": "2026-11-03",
                "expires": "2027-02-03",
            },
        ),
        record(
            "high-availability.failover-bound",
            "kube-controller-manager",
            examined=1,
            measures=(Measure("first successful action", 17.24, "s", 24.0), Measure("error of the watch", 0.12, "s")),
            evidence=("journals/controller-manager-leader-killed.json",),
        ),
        record(
            "high-availability.failover-15s",
            "kube-controller-manager",
            "fail",
            findings=(
                Finding(
                    "Lease kube-system/kube-controller-manager",
                    "a new leader that acts within 15 s",
                    "17.2 s (± 0.1 s) after a SIGKILL; the bound by its Lease is 24 s",
                    "kubectl -n kube-system get lease kube-controller-manager -o yaml",
                    "shorten leaseDuration, or accept that only a released lease is taken over sooner",
                ),
            ),
            measures=(Measure("first successful action", 17.24, "s", 15.0),),
            evidence=("journals/controller-manager-leader-killed.json",),
        ),
        record(
            "load.api-latency",
            "GET pods, namespace",
            examined=4200,
            measures=(
                Measure("95th percentile", 41.7, "ms", 100.0),
                Measure("upper end of its 95 % interval", 44.9, "ms", 100.0),
            ),
            evidence=("samples/read-baseline.json",),
        ),
    ]
    return records


def bad_records() -> list[Record]:
    """All eight verdicts: the good records with failures, a check that crashed, stale evidence and a gap."""
    changed = {
        ("rbac.no-wildcard-roles", "cluster"): record(
            "rbac.no-wildcard-roles",
            "cluster",
            "fail",
            examined=71,
            findings=(
                Finding(
                    "ClusterRole legacy-ci, rule 1",
                    "no rule with verbs, apiGroups and resources all '*'",
                    'verbs ["*"], apiGroups ["*"], resources ["*"], bound to ServiceAccount shop/ci by ClusterRoleBinding legacy-ci',
                    "kubectl get clusterrole legacy-ci -o yaml",
                    "grant the verbs and resources that the pipeline uses, in its own namespace",
                ),
            ),
        ),
        ("workloads.probes", "Deployment shop/checkout"): record(
            "workloads.probes",
            "Deployment shop/checkout",
            "fail",
            namespace="shop",
            findings=tuple(
                Finding(
                    f"container {name}",
                    "a readinessProbe",
                    "none",
                    "kubectl -n shop get deployment checkout -o yaml",
                    "add a readinessProbe that fails while the container cannot serve",
                )
                for name in ("web", "sidecar")
            ),
        ),
        ("infrastructure.certificates", "cluster"): record(
            "infrastructure.certificates",
            "cluster",
            "error",
            reason="the check crashed: <not a certificate> & no date",
            examined=0,
        ),
        ("storage.encryption-at-rest", "cluster"): record(
            "storage.encryption-at-rest",
            "cluster",
            "stale",
            reason="the evidence is 9 days old and holds for 7",
            expires="2026-11-19T00:00:00Z",
        ),
        ("storage.default-class", "cluster"): record(
            "storage.default-class",
            "cluster",
            "not-assessed",
            reason="not allowed to list storageclasses.storage.k8s.io (403)",
            examined=0,
        ),
    }
    merged = {(each.property, each.subject): each for each in good_records()} | changed
    return list(merged.values())


TIMELINE = {
    "experiment": "controller-manager-leader-killed",
    "title": "SIGKILL of the controller-manager leader",
    "unit": "s",
    "events": [
        {"t": -5.1, "lane": "steady state", "label": "leader cm-1 renewed its lease three times"},
        {"t": 0.0, "lane": "fault", "label": "SIGKILL to cm-1, process gone"},
        {"t": 14.9, "lane": "lease", "label": "the lease of cm-1 expired"},
        {"t": 16.8, "lane": "lease", "label": "cm-2 acquired the lease"},
        {"t": 17.24, "lane": "first action", "label": "a ReplicaSet got its Pod"},
        {"t": 17.3, "lane": "first action", "label": "an endpoint was written"},
    ],
    "windows": [
        {"lane": "lease", "start": 0.0, "end": 16.8, "kind": "leaderless"},
        {"lane": "API, 100 ms probe", "start": 2.1, "end": 2.4, "kind": "outage"},
    ],
    "bounds": [{"t": 15.0, "label": "target"}, {"t": 24.0, "label": "bound by the Lease"}],
    "error_bar_s": 0.12,
}


def latency_picture() -> str:
    """A picture such as a load scenario leaves behind."""
    heights = (12, 60, 130, 160, 120, 70, 40, 22, 12, 6, 3)
    bars = "".join(
        f'<rect x="{20 + 22 * place}" y="{180 - height}" width="16" height="{height}" fill="#4d7f8c"/>'
        for place, height in enumerate(heights)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 220" width="560" height="220">'
        f'<rect width="560" height="220" fill="#fff"/>{bars}<line x1="10" x2="550" y1="180" y2="180" stroke="#555"/>'
        '<text x="20" y="205" font-family="sans-serif" font-size="13">latency of GET pods, ms</text></svg>\n'
    )


def place_evidence(bundle: Bundle) -> None:
    """The journal, its timeline, the samples and their picture."""
    bundle.place("journals/controller-manager-leader-killed.json").write_text(
        json.dumps({"status": "completed", "deviated": False}) + "\n"
    )
    bundle.place("journals/controller-manager-leader-killed.timeline.json").write_text(
        json.dumps(TIMELINE, indent=1) + "\n"
    )
    bundle.place("samples/read-baseline.json").write_text(json.dumps({"p95_ms": 41.7, "samples": 4200}) + "\n")
    bundle.place("samples/read-baseline.svg").write_text(latency_picture())


def pages(folder: Path) -> Path:
    """A documentation folder with a page for each property; returns its root."""
    for name, info in catalogue().items():
        page = folder / info.doc
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"# {info.title}\n\n`{name}`\n")
    return folder


def private_key(folder: Path) -> Path:
    """A signing key in a file."""
    path = folder / "signing.pem"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        Ed25519PrivateKey.from_private_bytes(b"k" * 32).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


def public_key_file(folder: Path) -> Path:
    """The public half of `private_key`, in a file."""
    path = folder / "signing.pub.pem"
    path.write_text(keys.as_pem(keys.signer(private_key(folder)).public_key))
    return path


def make(
    folder: Path,
    records: Iterable[Record],
    *,
    run: RunInfo | None = None,
    docs: Path | None = None,
    allure_html: bool = False,
    say: Callable[[str], None] = print,
    seal: bool = True,
) -> Seal | None:
    """A whole bundle at `folder`, sealed with the sample's key, which lies beside it."""
    run = run or run_info()
    bundle = Bundle.create(folder, run)
    bundle.describe(run, catalogue())
    place_evidence(bundle)
    bundle.append(records)
    bundle.finish(run, catalogue(), docs=docs, allure_html=allure_html, say=say)
    return bundle.seal(keys.signer(private_key(folder.parent / "keys"))) if seal else None
