"""Planted defects and near misses of the area workloads: resources, placement, quality of service."""

from __future__ import annotations

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    bare_pod,
    container,
    cron_job,
    daemon_set,
    deployment,
    idle,
    merge,
    stateful_set,
)
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.cases_workloads import PENDING, Undo, poll, seen
from tests.proofs.cases_workloads_quotas import FULL, limit_range
from tests.proofs.cases_workloads_running import NAMED, PUBLIC

EXACT: Raw = {"requests": {"cpu": "0.05", "memory": "65536Ki"}, "limits": {"cpu": "0.3", "memory": "0.25Gi"}}
DEFAULTS = limit_range(
    "Container", default={"cpu": "300m", "memory": "256Mi"}, defaultRequest={"cpu": "50m", "memory": "64Mi"}
)
SIDE = container(name="side")
MAIN: Raw = {"subjects": {"daemon_sets": {"main_container": "main"}}}


def values(property_id: str, kind: str, resource: str, wrong: str) -> list[Case]:
    """The cases of one request or limit."""
    other = container(resources={kind: {resource: wrong}})
    return [
        defect(property_id, "another value", idle(daemon_set("agent", other)), observed=wrong),
        defect(property_id, "no value", idle(daemon_set("agent", container(resources=None))), observed="not set"),
        defect(
            property_id,
            "of the named one among several",
            idle(daemon_set("agent", other, SIDE)),
            observed=wrong,
            policy=MAIN,
        ),
        near_miss(property_id, "the same value in other words", idle(daemon_set("agent", container(resources=EXACT)))),
        near_miss(
            property_id, "filled in by a LimitRange", DEFAULTS, idle(daemon_set("agent", container(resources=None)))
        ),
        near_miss(
            property_id,
            "another container's value",
            idle(daemon_set("agent", container(), merge(other, {"name": "side"}))),
            policy=MAIN,
        ),
        near_miss(
            property_id,
            "several containers and no name",
            idle(daemon_set("agent", container(), SIDE)),
            verdict=Verdict.NOT_ASSESSED,
        ),
    ]


RESOURCES = [
    *values("workloads.cpu-request", "requests", "cpu", "51m"),
    *values("workloads.memory-request", "requests", "memory", "64M"),
    *values("workloads.cpu-limit", "limits", "cpu", "301m"),
    *values("workloads.memory-limit", "limits", "memory", "256M"),
]

EACH = "workloads.one-pod-per-node"
SELECTOR = "workloads.node-selector-configurable"
TOLERATIONS = "workloads.tolerations-configurable"
AFFINITY = "workloads.affinity-configurable"
ANYWHERE: Raw = {"tolerations": [{"operator": "Exists"}]}
TOLERATED: list[Raw] = [{"key": "a", "operator": "Exists"}, {"key": "b", "value": "c", "effect": "NoSchedule"}]


def in_zone(operator: str, zone: str) -> Raw:
    """A required node affinity over zones."""
    expression = {"key": "topology.kubernetes.io/zone", "operator": operator, "values": [zone]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def expecting(**keys: object) -> Raw:
    """A policy file with expectations of the DaemonSets."""
    return {"subjects": {"daemon_sets": keys}}


def tainted(api: Api, namespace: str) -> Undo:
    """Close a node to new pods after the DaemonSet's pod is on it."""
    path = "/api/v1/nodes/node-0"
    before = api.get(path)["spec"].get("taints")
    api.patch(path, {"spec": {"taints": [{"key": "proof.example/closed", "effect": "NoSchedule"}]}})

    def undo() -> None:
        api.patch(path, {"spec": {"taints": before}})

    return undo


def unready(api: Api, namespace: str) -> Undo:
    """Let one of the DaemonSet's pods lose its readiness."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    pod = api.get(path)["items"][0]
    for condition in pod["status"]["conditions"]:
        condition["status"] = "False" if condition["type"] == "Ready" else condition["status"]
    api.patch(f"{path}/{pod['metadata']['name']}/status", {"status": {"conditions": pod["status"]["conditions"]}})
    return lambda: None


def changed(api: Api, namespace: str) -> Undo:
    """Change the template of a DaemonSet that leaves its pods alone, and wait until its controller has seen it."""
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/agent"
    api.patch(path, {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}})
    poll(lambda: api.get(path)["status"]["observedGeneration"] == 2, "status of the DaemonSet")
    return lambda: None


def closed(api: Api, namespace: str) -> Undo:
    """Close a node to new pods, and wait until the DaemonSet's controller has noticed."""
    undo = tainted(api, namespace)
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/agent"
    api.patch(path, {"metadata": {"annotations": {"look": "again"}}})  # a taint alone does not make it count anew
    poll(lambda: api.get(path)["status"].get("numberMisscheduled", 0) == 1, "status of the DaemonSet")
    return undo


PLACEMENT = [
    defect(
        EACH,
        "pods that fit on no node",
        daemon_set("agent", PENDING),
        observed="Node node-5: 0 ready pods",
        arrange=seen,
    ),
    defect(EACH, "one pod is not ready", daemon_set(), observed="0 ready pods", pods=True, arrange=unready),
    defect(
        EACH,
        "a pod where it no longer belongs",
        daemon_set(),
        observed="node-0",
        pods=True,
        alone=True,
        arrange=tainted,
    ),
    near_miss(EACH, "all workers", daemon_set(), pods=True),
    near_miss(EACH, "the control plane too", daemon_set(pod=ANYWHERE), pods=True),
    near_miss(EACH, "one zone only", daemon_set(pod={"affinity": in_zone("In", "region-1a")}), pods=True),
    near_miss(
        EACH,
        "no node of that name",
        daemon_set(pod={"nodeSelector": {"gpu": "yes"}}),
        verdict=Verdict.NOT_APPLICABLE,
        arrange=seen,
    ),
    defect(SELECTOR, "unset", daemon_set(), observed="not set", policy=expecting(node_selector={"disk": "fast"})),
    defect(
        SELECTOR,
        "another value",
        daemon_set(pod={"nodeSelector": {"disk": "slow"}}),
        observed="disk",
        policy=expecting(node_selector={"disk": "fast"}),
    ),
    near_miss(
        SELECTOR,
        "as declared",
        daemon_set(pod={"nodeSelector": {"disk": "fast"}}),
        policy=expecting(node_selector={"disk": "fast"}),
    ),
    near_miss(SELECTOR, "nothing declared", idle(daemon_set()), verdict=Verdict.NOT_ASSESSED),
    defect(
        TOLERATIONS,
        "one is missing",
        idle(daemon_set(pod={"tolerations": TOLERATED[:1]})),
        observed="Exists",
        policy=expecting(tolerations=TOLERATED),
    ),
    near_miss(
        TOLERATIONS,
        "as declared, in another order, the operator written out",
        idle(daemon_set(pod={"tolerations": [{**TOLERATED[1], "operator": "Equal"}, TOLERATED[0]]})),
        policy=expecting(tolerations=TOLERATED),
    ),
    near_miss(TOLERATIONS, "nothing declared", idle(daemon_set(pod=ANYWHERE)), verdict=Verdict.NOT_ASSESSED),
    defect(
        AFFINITY,
        "the opposite",
        idle(daemon_set(pod={"affinity": in_zone("NotIn", "region-1a")})),
        observed="NotIn",
        policy=expecting(affinity=in_zone("In", "region-1a")),
    ),
    near_miss(
        AFFINITY,
        "as declared",
        idle(daemon_set(pod={"affinity": in_zone("In", "region-1a")})),
        policy=expecting(affinity=in_zone("In", "region-1a")),
    ),
    near_miss(AFFINITY, "declared to be none", idle(daemon_set()), policy=expecting(affinity={})),
    near_miss(
        EACH,
        "a rollout is under way",
        daemon_set(updateStrategy={"type": "OnDelete"}),
        verdict=Verdict.NOT_ASSESSED,
        pods=True,
        arrange=changed,
    ),
    near_miss(AFFINITY, "nothing declared", idle(daemon_set()), verdict=Verdict.NOT_ASSESSED),
    defect(
        "workloads.node-services-as-daemonset",
        "a pod where it no longer belongs",
        daemon_set(),
        observed="numberMisscheduled: 1",
        pods=True,
        alone=True,
        arrange=closed,
    ),
]

DECLARED = "workloads.qos-guaranteed"
SQUEEZED = "workloads.qos-burstable"
BEST_EFFORT = "workloads.no-best-effort"
DATABASES = "workloads.stateful-sets-guaranteed"
PROMETHEUS = "workloads.prometheus-guaranteed"
CONTROL_PLANE = "workloads.control-plane-guaranteed"
EQUAL = container(resources={"requests": {"cpu": "0.3", "memory": "256Mi"}})
LIMITS_ONLY = container(resources={"requests": None})
NOTHING = container(resources=None)
PROMISED: Raw = {"subjects": {"guaranteed": ["{ns}/*"]}}
UNEQUAL_DEFAULTS = limit_range("Container", default=FULL, defaultRequest={"cpu": "50m", "memory": "64Mi"})


def component(name: str, one: Raw) -> Raw:
    """A control-plane pod in kube-system."""
    return merge(bare_pod("{ns}", one), {"metadata": {"namespace": "kube-system", "labels": {"component": name}}})


def monitoring(one: Raw, **labels: str) -> Raw:
    """A StatefulSet named db whose template carries labels."""
    return merge(
        stateful_set("db", one),
        {
            "spec": {
                "template": {"metadata": {"labels": {key.replace("_", "/"): value for key, value in labels.items()}}}
            }
        },
    )


QUALITY = [
    defect(DECLARED, "requests below limits", deployment(), observed="Burstable", policy=PROMISED, pods=True),
    defect(
        DECLARED,
        "an init container without limits",
        idle(deployment("web", EQUAL, pod={"initContainers": [merge(NOTHING, {"name": "setup"})]}, replicas=0)),
        observed="Burstable",
        policy=PROMISED,
    ),
    defect(
        DECLARED,
        "a LimitRange made the live pods so",
        UNEQUAL_DEFAULTS,
        deployment("web", EQUAL, merge(NOTHING, {"name": "injected"})),
        observed="Burstable",
        policy=PROMISED,
        pods=True,
    ),
    near_miss(DECLARED, "equal, in other words", deployment("web", EQUAL), policy=PROMISED, pods=True),
    near_miss(DECLARED, "limits only, in a CronJob without a pod", cron_job("report", LIMITS_ONLY), policy=PROMISED),
    near_miss(
        DECLARED,
        "the pod as a whole",
        idle(deployment("web", NOTHING, pod={"resources": {"requests": FULL, "limits": FULL}}, replicas=0)),
        policy=PROMISED,
    ),
    near_miss(DECLARED, "nothing is declared", idle(deployment()), verdict=Verdict.NOT_APPLICABLE),
    defect(SQUEEZED, "a critical workload", deployment(), observed="Burstable", policy=NAMED, pods=True),
    defect(
        SQUEEZED,
        "a critical workload with nothing at all",
        idle(deployment("web", NOTHING)),
        observed="BestEffort",
        policy=NAMED,
    ),
    near_miss(SQUEEZED, "a critical one that is guaranteed", deployment("web", EQUAL), policy=NAMED, pods=True),
    near_miss(
        SQUEEZED, "a public one, while none is declared", idle(deployment()), PUBLIC, verdict=Verdict.NOT_APPLICABLE
    ),
    defect(BEST_EFFORT, "live pods", deployment("web", NOTHING), observed="BestEffort", pods=True),
    defect(
        BEST_EFFORT,
        "a request of zero",
        idle(
            deployment(
                "web", container(resources={"requests": {"cpu": "0", "memory": None}, "limits": None}), replicas=0
            )
        ),
        observed="BestEffort",
    ),
    near_miss(
        BEST_EFFORT,
        "a single request",
        deployment("web", container(resources={"requests": {"memory": None}, "limits": None})),
        pods=True,
    ),
    near_miss(BEST_EFFORT, "a LimitRange fills in the next pods", UNEQUAL_DEFAULTS, cron_job("report", NOTHING)),
    defect(DATABASES, "requests below limits", stateful_set(), observed="Burstable", pods=True),
    near_miss(DATABASES, "guaranteed", stateful_set("db", LIMITS_ONLY), pods=True),
    near_miss(DATABASES, "a Deployment is none", idle(deployment()), verdict=Verdict.NOT_APPLICABLE),
    defect(
        PROMETHEUS,
        "by its label",
        idle(monitoring(container(), **{"app.kubernetes.io_name": "prometheus"})),
        observed="Burstable",
    ),
    defect(
        PROMETHEUS,
        "by its image",
        idle(monitoring(container(image="quay.example:443/prometheus/prometheus:v3"))),
        observed="Burstable",
    ),
    near_miss(PROMETHEUS, "guaranteed", idle(monitoring(LIMITS_ONLY, **{"app.kubernetes.io_name": "prometheus"}))),
    near_miss(
        PROMETHEUS,
        "its operator is another program",
        idle(deployment("web", container(image="quay.example/prometheus-operator/prometheus-operator:v0.80"))),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    defect(
        CONTROL_PLANE,
        "what kubeadm gives to etcd",
        component("etcd", container(resources={"requests": {"cpu": "100m"}, "limits": None})),
        observed="Burstable",
        alone=True,
    ),
    near_miss(CONTROL_PLANE, "guaranteed", component("etcd", EQUAL), alone=True),
    near_miss(
        CONTROL_PLANE,
        "a pod of the namespace that is none of it",
        component("kube-proxy", container()),
        verdict=Verdict.NOT_APPLICABLE,
        alone=True,
    ),
]

CASES: list[Case] = [*RESOURCES, *PLACEMENT, *QUALITY]
