"""Whether the cluster answers, and whether what it consists of is well."""

from __future__ import annotations

import math
import time

from fixtures import limits
from fixtures.api import ServerFault
from fixtures.lab import Workbench, objects
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, WholeCluster, all_replicated
from fixtures.subjects.assessed import REPLICATED_READS

APISERVICES = "apiservices.apiregistration.k8s.io"
_SYSTEM = "kube-system"
_BAD_WHEN_TRUE = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@readiness(
    "infrastructure.clusters-healthy-and-accessible",
    severity="critical",
    ttl="1d",
    needs=("api",),
    reads=("nodes", APISERVICES, *REPLICATED_READS),
    consent="probes",
    uses=("namespaces", "configmaps"),
)
def test_cluster_is_well(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """The cluster answers, takes writes, and all that it consists of is well.

    Why: Everything else that is judged rests on it.
    How: /readyz and /livez; the conditions of every node; the workloads of kube-system have the pods that they want; every
        APIService is Available; a ConfigMap of the run's own is made, read and deleted; of twenty GETs of a namespace
        the 95th percentile is at most one second.
    Fix: Repair the component that is named.
    Does not prove: That it stays so under load (load) or after a failure (chaos).
    """
    for path in ("/readyz", "/livez"):
        _expect_ok(findings, lab, path)
    for raw in inventory.objects("nodes"):
        _expect_well(findings, raw)
    for one in inventory.derive(all_replicated):
        if one.namespace == _SYSTEM:
            wanted, there = one.replicas, _there(one.raw)
            findings.expect(there >= wanted, one, expected=f"{wanted} pods Ready", observed=f"{there}")
    for raw in inventory.objects(APISERVICES):
        ok = _conditions(raw).get("Available") == "True"
        findings.expect(ok, f"APIService {raw['metadata']['name']}", expected="Available", observed="not available")
    with lab.place("health") as own:
        made = own.create("configmaps", objects.named("written", data={"key": "value"}))
        path = own.path("configmaps", made["metadata"]["name"])
        read = lab.api.get(path)
        findings.expect(read["data"] == {"key": "value"}, path, expected="read as written", observed=read["data"])
        own.delete("configmaps", "written", wait=limits.LAB_POD_DEADLINE.value)
        _expect_quick(findings, lab, f"/api/v1/namespaces/{own.name}", policy)


def _expect_ok(findings: Findings, lab: Workbench, path: str) -> None:
    try:
        failed = ""
        lab.api.text(path, {"verbose": True})
    except ServerFault as error:
        failed = error.message
    findings.expect(not failed, path, expected="ok", observed=failed)


def _expect_well(findings: Findings, node: Raw) -> None:
    found = _conditions(node)
    wrong = [f"Ready={found.get('Ready')}"] if found.get("Ready") != "True" else []
    wrong += [f"{name}={found[name]}" for name in _BAD_WHEN_TRUE if found.get(name, "False") != "False"]
    at = f"Node {node['metadata']['name']}"
    findings.expect(not wrong, at, expected="Ready, and without pressure", observed=wrong)


def _conditions(raw: Raw) -> dict[str, str]:
    return {one["type"]: one["status"] for one in (raw.get("status") or {}).get("conditions") or ()}


def _there(raw: Raw) -> int:
    status = raw.get("status") or {}
    return int(status.get("numberReady" if raw["kind"] == "DaemonSet" else "readyReplicas") or 0)


def _expect_quick(findings: Findings, lab: Workbench, path: str, policy: Policy) -> None:
    """The 95th percentile of some GETs, by the nearest rank."""
    seconds = []
    for _ in range(int(policy.limit(limits.GETS))):
        begun = time.perf_counter()
        lab.api.get(path)
        seconds.append(time.perf_counter() - begun)
    p95, bound = sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1], policy.limit(limits.GET_P95)
    findings.measure("GET of a namespace, p95", p95, "s", bound)
    findings.expect(p95 <= bound, f"GET {path}", expected=f"p95 of at most {bound:g} s", observed=f"{p95:.3f} s")
