"""Planted defects and near misses of what the platform does with running containers."""

from __future__ import annotations

from tests.kind.mutations import CONTAINER, changed
from tests.proofs.case import Case, defect, near_miss

CONFINED = "pod-security.confinement-in-force"
MEMORY = "workloads.memory-limit-in-force"
RESTARTED = "workloads.failed-containers-restarted"
UNREADY = "workloads.unready-pods-get-no-traffic"
END = "workloads.graceful-termination"
ROLLING = "delivery.rolling-update-loses-no-request"
BAD = "delivery.bad-rollout-stops"
DRAIN = "high-availability.pdb-protects-on-drain"
HEALING = "operations.self-healing"
PREEMPTS = "workloads.priority-preempts"
DEPLOYMENTS, BUDGETS = ("apps", "v1", "deployments"), ("policy", "v1", "poddisruptionbudgets")
NOT_THE_CLIENT = "!has(object.metadata.name) || object.metadata.name != 'client'"
SECURITY = f"{CONTAINER}/securityContext"

CASES: list[Case] = [
    near_miss(CONFINED, "as it is"),
    defect(
        CONFINED,
        "something makes every root writable",
        observed="root file system: writable",
        alone=True,
        arrange=changed("confined", f"op: 'replace', path: '{SECURITY}/readOnlyRootFilesystem', value: false"),
    ),
    defect(
        CONFINED,
        "something takes the seccomp profile away",
        observed="seccomp: disabled",
        alone=True,
        arrange=changed("confined", "op: 'remove', path: '/spec/securityContext/seccompProfile'"),
    ),
    defect(
        CONFINED,
        "something gives confined pods back the usual capabilities and set-uid programs",
        observed="no_new_privs: false",
        alone=True,
        arrange=changed(
            "confined",
            f"op: 'remove', path: '{SECURITY}/capabilities'",
            f"op: 'remove', path: '{SECURITY}/allowPrivilegeEscalation'",
            only="object.metadata.name == 'confined'",
        ),
    ),
    near_miss(MEMORY, "as it is"),
    defect(
        MEMORY,
        "something takes limits away",
        observed="Completed, exit code 0",
        alone=True,
        arrange=changed("memory", f"op: 'remove', path: '{CONTAINER}/resources/limits'"),
    ),
    defect(
        MEMORY,
        "the killed container takes the one beside it along",
        observed="restarts",
        alone=True,
        arrange=changed(
            "memory",
            f"op: 'replace', path: '{CONTAINER}/args', value: ['crash', '--after', '3s']",
            f"op: 'remove', path: '{CONTAINER}/readinessProbe'",
            only="object.metadata.name == 'neighbour'",
        ),
    ),
    near_miss(RESTARTED, "as it is"),
    defect(
        RESTARTED,
        "something takes liveness probes away",
        observed="a restart did not come about",
        alone=True,
        arrange=changed(
            "restarts", f"op: 'remove', path: '{CONTAINER}/livenessProbe'", only="object.metadata.name == 'hangs'"
        ),
    ),
    defect(
        RESTARTED,
        "something forbids restarts",
        observed="a container that crashes with exit code 3: a restart did not come about",
        alone=True,
        arrange=changed("restarts", "op: 'replace', path: '/spec/restartPolicy', value: 'Never'"),
    ),
    near_miss(UNREADY, "as it is"),
    defect(
        UNREADY,
        "something takes readiness probes away",
        observed="requests once a pod is unready",
        alone=True,
        arrange=changed("readiness", f"op: 'remove', path: '{CONTAINER}/readinessProbe'"),
    ),
    defect(
        UNREADY,
        "the Service publishes pods that are not ready",
        observed="requests once a pod is unready",
        alone=True,
        arrange=changed(
            "readiness",
            "op: 'add', path: '/spec/publishNotReadyAddresses', value: true",
            resource=("", "v1", "services"),
        ),
    ),
    near_miss(END, "as it is"),
    defect(
        END,
        "something shortens the grace",
        observed="the request under way: reset",
        alone=True,
        arrange=changed("end", "op: 'replace', path: '/spec/terminationGracePeriodSeconds', value: 1"),
    ),
    defect(
        END,
        "something takes hooks away",
        observed="the pod's log: SIGTERM, stopping, stopped",
        alone=True,
        arrange=changed("end", f"op: 'remove', path: '{CONTAINER}/lifecycle'", only="object.metadata.name == 'web'"),
    ),
    near_miss(ROLLING, "as it is"),
    defect(
        ROLLING,
        "pods are called ready before they serve",
        observed="refused",
        alone=True,
        arrange=changed(
            "rolling",
            f"op: 'remove', path: '{CONTAINER}/readinessProbe'",
            f"op: 'replace', path: '{CONTAINER}/args', value: ['serve', '--start-delay', '2s']",
            only=NOT_THE_CLIENT,
        ),
    ),
    near_miss(BAD, "as it is"),
    defect(
        BAD,
        "something lets all old pods go at once",
        observed="available pods: 0",
        alone=True,
        arrange=changed(
            "badly",
            "op: 'replace', path: '/spec/strategy/rollingUpdate/maxUnavailable', value: 3",
            resource=DEPLOYMENTS,
        ),
    ),
    defect(
        BAD,
        "nothing reports it in time",
        observed="ProgressDeadlineExceeded did not come about",
        alone=True,
        arrange=changed(
            "badly", "op: 'replace', path: '/spec/progressDeadlineSeconds', value: 600", resource=DEPLOYMENTS
        ),
    ),
    near_miss(DRAIN, "as it is"),
    defect(
        DRAIN,
        "something makes budgets toothless",
        observed="a second eviction at once: granted",
        alone=True,
        arrange=changed("drain", "op: 'replace', path: '/spec/minAvailable', value: 0", resource=BUDGETS),
    ),
    defect(
        DRAIN,
        "replacements never become ready, so the drain hangs",
        observed="the drain: ",
        alone=True,
        policy={"thresholds": {"high-availability.drain-deadline": 8}},
        arrange=changed(
            "drain",
            f"op: 'replace', path: '{CONTAINER}/args', value: ['serve', '--start-delay', '12s']",
        ),
    ),
    near_miss(HEALING, "as it is"),
    defect(
        HEALING,
        "replacements take too long",
        observed="deployments/web: a replacement did not come about",
        alone=True,
        policy={"thresholds": {"operations.replacement": 6}},
        arrange=changed(
            "healing", f"op: 'replace', path: '{CONTAINER}/args', value: ['serve', '--start-delay', '12s']"
        ),
    ),
    near_miss(PREEMPTS, "as it is"),
    defect(
        PREEMPTS,
        "something forbids pre-emption",
        observed="the pod of higher priority: the start of the pod did not come about",
        alone=True,
        policy={"thresholds": {"delivery.rollout-deadline": 15}},
        arrange=changed(
            "preemption",
            "op: 'replace', path: '/preemptionPolicy', value: 'Never'",
            resource=("scheduling.k8s.io", "v1", "priorityclasses"),
            only="object.metadata.name.matches('^kubeworthy-.*-high$')",
        ),
    ),
    defect(
        PREEMPTS,
        "the pod beside them has to go, too",
        observed="the pod beside them: not ready",
        alone=True,
        arrange=changed(
            "preemption",
            "op: 'add', path: '/metadata/labels/kubeworthy~1room', value: 'one'",
            only="object.metadata.name == 'bystander'",
        ),
    ),
]
