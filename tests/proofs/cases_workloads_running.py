"""Planted defects and near misses of the area workloads: priorities, probes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    container,
    daemon_set,
    deployment,
    idle,
    named,
    service,
)
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.cases_workloads import Undo, poll

CLASSES = "workloads.priority-classes"
CRITICAL = "workloads.critical-priority"
SYSTEM = "workloads.no-system-priority"
NODE_CRITICAL = "workloads.priority-class-node-critical"


def ranked(name: str, value: int, **more: object) -> Raw:
    """A PriorityClass, with the namespace in its name since it is cluster-wide."""
    return named("scheduling.k8s.io/v1", "PriorityClass", f"{{ns}}-{name}", value=value, **more)


def of_class(name: str) -> Raw:
    """A Deployment that names a priority class; without pods, since admission wants the class to exist."""
    return deployment(replicas=0, pod={"priorityClassName": name})


NAMED: Raw = {"subjects": {"critical": ["{ns}/web"]}}
CALLED_CRITICAL: Raw = {"subjects": {"daemon_sets": {"node_critical": True}}}
PUBLIC = service(type="LoadBalancer")
BEHIND: Raw = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = named(
    "networking.k8s.io/v1",
    "Ingress",
    "web",
    spec={"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BEHIND}]}}]},
)


def promoted(api: Api, namespace: str) -> Undo:
    """Give the DaemonSet its class when its pods are there already, without replacing them."""
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/agent"
    api.patch(path, {"spec": {"template": {"spec": {"priorityClassName": "system-node-critical"}}}})
    return lambda: None


PRIORITIES = [
    defect(CLASSES, "a single class", ranked("high", 1000), observed="high = 1000", alone=True),
    defect(
        CLASSES, "two classes of one value", ranked("high", 1000), ranked("other", 1000), observed="1000", alone=True
    ),
    near_miss(
        CLASSES,
        "two ranks, one of them the default",
        ranked("high", 1000),
        ranked("usual", 10, globalDefault=True),
        alone=True,
    ),
    defect(CRITICAL, "declared, and of no class", idle(deployment()), observed="not set", policy=NAMED),
    defect(
        CRITICAL,
        "declared, and of the default's value",
        ranked("usual", 10, globalDefault=True),
        ranked("high", 10),
        of_class("{ns}-high"),
        observed="= 10",
        policy=NAMED,
        alone=True,
    ),
    defect(CRITICAL, "of a class that does not exist", of_class("vanished"), observed="does not exist", policy=NAMED),
    defect(CRITICAL, "behind a load balancer", idle(deployment()), PUBLIC, observed="not set"),
    defect(CRITICAL, "behind an Ingress", idle(deployment()), service(), INGRESS, observed="not set"),
    near_miss(
        CRITICAL,
        "above the default",
        ranked("usual", 10, globalDefault=True),
        ranked("high", 11),
        of_class("{ns}-high"),
        policy=NAMED,
        alone=True,
    ),
    near_miss(
        CRITICAL,
        "behind a Service that nobody reaches from outside",
        idle(deployment()),
        service(),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    near_miss(
        CRITICAL,
        "a name in the list that nothing has",
        idle(deployment("other")),
        verdict=Verdict.NOT_ASSESSED,
        policy=NAMED,
    ),
    defect(SYSTEM, "an application", of_class("system-cluster-critical"), observed="system-cluster-critical"),
    defect(
        SYSTEM,
        "a DaemonSet of the wrong one",
        idle(daemon_set(pod={"priorityClassName": "system-cluster-critical"})),
        observed="system-cluster-critical",
    ),
    near_miss(SYSTEM, "a DaemonSet", idle(daemon_set(pod={"priorityClassName": "system-node-critical"}))),
    near_miss(
        SYSTEM,
        "declared as a node agent",
        of_class("system-cluster-critical"),
        policy={"subjects": {"node_agents": ["{ns}/web"]}},
    ),
    near_miss(SYSTEM, "a class of one's own that sounds alike", of_class("systemic")),
    defect(NODE_CRITICAL, "no class", idle(daemon_set()), observed="not set", policy=CALLED_CRITICAL),
    defect(
        NODE_CRITICAL,
        "pods older than the class",
        daemon_set(updateStrategy={"type": "OnDelete"}),
        observed="Pod ",
        policy=CALLED_CRITICAL,
        pods=True,
        arrange=promoted,
    ),
    near_miss(
        NODE_CRITICAL,
        "the class, and pods that carry it",
        daemon_set(pod={"priorityClassName": "system-node-critical"}),
        policy=CALLED_CRITICAL,
        pods=True,
    ),
    near_miss(NODE_CRITICAL, "not called critical", idle(daemon_set()), verdict=Verdict.NOT_APPLICABLE),
    defect(
        SYSTEM,
        "an application with the class of nodes",
        of_class("system-node-critical"),
        observed="system-node-critical",
    ),
    defect(
        NODE_CRITICAL,
        "a class that does not exist",
        idle(daemon_set(pod={"priorityClassName": "vanished"})),
        observed="PriorityClass: does not exist",
        policy={"subjects": {"daemon_sets": {"node_critical": True, "priority_class": "vanished"}}},
    ),
]

LIVENESS = "workloads.liveness-probe-timing"
READINESS = "workloads.readiness-probe-timing"
DELAY = "workloads.probe-initial-delay"
START = "workloads.start-to-ready"


def probed(name: str, **probes: Raw) -> Raw:
    """A DaemonSet whose container has the given probes, of the given timing."""
    asks = {"httpGet": {"path": "/healthz", "port": 8080}}
    return daemon_set(name, container(**{key: {**asks, **timing} for key, timing in probes.items()}))


def live(**timing: int) -> Raw:
    """A DaemonSet with a liveness probe."""
    return probed("agent", livenessProbe=timing)


def ready(liveness: Raw | None = None, **timing: int) -> Raw:
    """A DaemonSet with a readiness probe, and a liveness probe where asked for."""
    return probed("agent", readinessProbe=timing, **({"livenessProbe": liveness} if liveness else {}))


SIDECAR = container(name="side", restartPolicy="Always", livenessProbe={"tcpSocket": {"port": 1}, "periodSeconds": 1})

REAL: Raw = {"proof.example/node": "{ns}"}
CAPACITY: Raw = {"cpu": "4", "memory": "8Gi", "pods": "10"}
NODE = named(
    "v1",
    "Node",
    "{ns}",
    metadata={"labels": REAL},
    spec={"taints": [{"key": "proof.example/real", "effect": "NoSchedule"}]},
    status={"capacity": CAPACITY, "allocatable": CAPACITY},
)
ON_REAL = daemon_set(pod={"nodeSelector": REAL, "tolerations": [{"operator": "Exists"}]})
"""A DaemonSet for a node that nobody simulates, so that its pods' times count."""


def took(seconds: int, restarts: int = 0, ready: str = "True", state: Raw | None = None) -> Callable[[Api, str], Undo]:
    """Report, as a kubelet would, that the DaemonSet's pod was ready so long after its start."""

    def arrange(api: Api, namespace: str) -> Undo:
        path = f"/api/v1/namespaces/{namespace}/pods"
        poll(lambda: any(pod["spec"].get("nodeName") for pod in api.get(path)["items"]), "a pod on the node")
        [pod] = api.get(path)["items"]
        began = datetime.now(UTC)
        running = {"running": {"startedAt": f"{began:%Y-%m-%dT%H:%M:%SZ}"}}
        one = {
            "name": "main",
            "ready": True,
            "restartCount": restarts,
            "image": "x",
            "imageID": "x",
            "state": state or running,
        }
        since = f"{began + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        conditions = [scheduled, {"type": "Ready", "status": ready, "lastTransitionTime": since}]
        status = {"phase": "Running", "conditions": conditions, "containerStatuses": [one]}
        api.patch(f"{path}/{pod['metadata']['name']}/status", {"status": status})
        return lambda: None

    return arrange


PROBES = [
    defect(
        LIVENESS,
        "kills after five seconds",
        idle(live(periodSeconds=5, failureThreshold=1, initialDelaySeconds=5)),
        observed="5 s",
    ),
    defect(
        LIVENESS,
        "blind for ten minutes",
        idle(live(periodSeconds=60, failureThreshold=10, initialDelaySeconds=5)),
        observed="600 s",
    ),
    defect(
        LIVENESS,
        "waits longer than its period",
        idle(live(timeoutSeconds=11, initialDelaySeconds=5)),
        observed="timeoutSeconds: 11",
    ),
    defect(LIVENESS, "nothing covers the start", idle(live()), observed="neither"),
    defect(
        LIVENESS, "a sidecar's", idle(daemon_set(pod={"initContainers": [SIDECAR]})), observed="initContainers[side]"
    ),
    near_miss(
        LIVENESS, "the defaults behind a startup probe", idle(probed("agent", livenessProbe={}, startupProbe={}))
    ),
    near_miss(
        LIVENESS,
        "exactly at its bounds",
        idle(live(periodSeconds=10, failureThreshold=30, timeoutSeconds=10, initialDelaySeconds=1)),
    ),
    near_miss(LIVENESS, "no probe", idle(daemon_set()), verdict=Verdict.NOT_APPLICABLE),
    defect(READINESS, "slower than liveness", idle(ready({"periodSeconds": 5}, periodSeconds=10)), observed="30 s"),
    defect(READINESS, "slower than a minute", idle(ready(periodSeconds=61, failureThreshold=1)), observed="61 s"),
    defect(READINESS, "waits longer than its period", idle(ready(timeoutSeconds=20)), observed="timeoutSeconds: 20"),
    near_miss(READINESS, "as fast as liveness", idle(ready({}))),
    near_miss(READINESS, "no liveness probe to compare with", idle(ready(periodSeconds=20))),
    defect(
        DELAY,
        "a late readiness probe",
        idle(ready(initialDelaySeconds=6)),
        observed="readinessProbe.initialDelaySeconds: 6",
    ),
    near_miss(
        DELAY,
        "five seconds, and a late startup probe",
        idle(probed("agent", livenessProbe={"initialDelaySeconds": 5}, startupProbe={"initialDelaySeconds": 30})),
    ),
    defect(START, "slow", NODE, ON_REAL, observed="31 s", alone=True, arrange=took(31)),
    near_miss(START, "just fast enough", NODE, ON_REAL, alone=True, arrange=took(30)),
    near_miss(
        START,
        "restarted, so that its times say nothing",
        NODE,
        ON_REAL,
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
        arrange=took(31, 1),
    ),
    near_miss(START, "simulated nodes", daemon_set(), verdict=Verdict.NOT_ASSESSED, pods=True),
    near_miss(
        LIVENESS,
        "exactly at its lower bound",
        idle(live(periodSeconds=10, failureThreshold=2, initialDelaySeconds=1)),
    ),
    near_miss(READINESS, "no probe", idle(live()), verdict=Verdict.NOT_APPLICABLE),
    near_miss(
        DELAY,
        "a startup probe only",
        idle(probed("agent", startupProbe={"initialDelaySeconds": 60})),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    near_miss(
        START, "not ready", NODE, ON_REAL, verdict=Verdict.NOT_ASSESSED, alone=True, arrange=took(31, ready="False")
    ),
    near_miss(
        START,
        "ready once, and waiting now",
        NODE,
        ON_REAL,
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
        arrange=took(31, state={"waiting": {"reason": "CrashLoopBackOff"}}),
    ),
]

CASES: list[Case] = [*PRIORITIES, *PROBES]
