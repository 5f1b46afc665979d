"""Planted defects and near misses of the area infrastructure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import daemon_set, deployment, merge, named
from tests.proofs.case import Case, Raw, defect, near_miss

NA, UNKNOWN = Verdict.NOT_APPLICABLE, Verdict.NOT_ASSESSED
NODES = "/api/v1/nodes"
ROLE = "node-role.kubernetes.io/control-plane"
ZONE = "topology.kubernetes.io/zone"
Arrange = Callable[[Api, str], Callable[[], None]]


def patched(*patches: tuple[str, Raw]) -> Arrange:
    """Patch nodes by their names; the undo puts the same fields back."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        before = [(name, _same(api.get(f"{NODES}/{name}"), patch)) for name, patch in patches]
        for name, patch in patches:
            api.patch(f"{NODES}/{name}", patch)

        def undo() -> None:
            for name, patch in before:
                api.patch(f"{NODES}/{name}", patch)

        return undo

    return arrange


def _same(raw: Any, patch: Any) -> Any:
    """The values that `raw` has where `patch` has some; None, which removes, where it has none."""
    if isinstance(patch, dict):
        return {key: _same((raw or {}).get(key), value) for key, value in patch.items()}
    return raw


def labelled(**labels: str | None) -> Raw:
    """A patch of labels; `zone` and `role` stand for the long keys."""
    long = {"zone": ZONE, "role": ROLE}
    return {"metadata": {"labels": {long.get(key, key): value for key, value in labels.items()}}}


def statuses(name: str, allocatable: Raw, capacity: Raw | None = None) -> Arrange:
    """Make a node of a case report other resources."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        node = f"{namespace}-{name}"
        ready(api, [node])
        status: Raw = {"capacity": {**CAPACITY, **(capacity or {})}, "allocatable": {**ALLOCATABLE, **allocatable}}
        api.patch(f"{NODES}/{node}/status", {"status": status})
        return lambda: None

    return arrange


def ready(api: Api, names: list[str]) -> None:
    """Wait until the nodes are Ready."""
    deadline = time.monotonic() + 30
    while not all(_is_ready(api.get(f"{NODES}/{name}")) for name in names):
        assert time.monotonic() < deadline, f"{names} are not Ready"
        time.sleep(0.1)


def _is_ready(raw: Raw) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in raw["status"].get("conditions", []))


def all_ready(*names: str) -> Arrange:
    """Wait until nodes of the case are Ready."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        ready(api, [f"{namespace}-{name}" for name in names])
        return lambda: None

    return arrange


CAPACITY = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
ALLOCATABLE = {"cpu": "7910m", "memory": "29Gi", "ephemeral-storage": "89Gi", "pods": "110"}


def node(name: str, provider_id: str = "", labels: Raw | None = None, **spec: Any) -> Raw:
    """A simulated node of the case's own, which takes no pods of other cases."""
    base = {
        "metadata": {
            "labels": {"type": "kwok", "kubernetes.io/os": "linux"},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [{"key": "proof", "effect": "NoSchedule"}]},
        "status": {"capacity": CAPACITY, "allocatable": ALLOCATABLE},
    }
    more: Raw = {
        "metadata": {"labels": labels or {}},
        "spec": {**({"providerID": provider_id} if provider_id else {}), **spec},
    }
    return named("v1", "Node", f"{{ns}}-{name}", **merge(base, more))


PLANE = "infrastructure.control-plane-nodes"
MASTER = "node-role.kubernetes.io/master"


def static_pod(component: str, on: str) -> Raw:
    """A component of the control plane as a pod, as kubeadm runs it."""
    spec = {"nodeName": on, "containers": [{"name": component, "image": f"registry.example/{component}:1"}]}
    labels = {"labels": {"component": component}, "namespace": "kube-system"}
    return named("v1", "Pod", f"{{ns}}-{component}-{on}", metadata=labels, spec=spec)


PLANES = ("control-plane-0", "control-plane-1", "control-plane-2")
API_SERVERS = tuple(static_pod("kube-apiserver", one) for one in PLANES)
MANAGERS = tuple(static_pod("kube-controller-manager", one) for one in PLANES)
SCHEDULERS = tuple(static_pod("kube-scheduler", one) for one in PLANES)


def running(api: Api, namespace: str) -> Callable[[], None]:
    """Wait until the pods in kube-system are Ready."""
    deadline = time.monotonic() + 30
    while not all(
        (one.get("status") or {}).get("phase") == "Running"
        for one in api.get("/api/v1/namespaces/kube-system/pods")["items"]
    ):
        assert time.monotonic() < deadline, "the control plane's pods do not run"
        time.sleep(0.1)
    return lambda: None


CONTROL_PLANE = [
    defect(PLANE, "two nodes", observed="control-plane-0, control-plane-1", alone=True, arrange=patched(("control-plane-2", labelled(role=None)))),
    defect(PLANE, "two of three in one zone", observed="2 of 3 in region-1a", alone=True, arrange=patched(("control-plane-1", labelled(zone="region-1a")))),
    defect(PLANE, "a node without a scheduler", *API_SERVERS, *MANAGERS, *SCHEDULERS[1:], observed="control-plane-0", alone=True, arrange=running),
    near_miss(PLANE, "three nodes in three zones", alone=True),
    near_miss(PLANE, "the older label", alone=True, arrange=patched(("control-plane-2", labelled(role=None, **{MASTER: ""})))),
    near_miss(PLANE, "no zone label on one of them", alone=True, arrange=patched(("control-plane-1", labelled(zone="region-1a")), ("control-plane-2", labelled(zone=None)))),
    near_miss(PLANE, "each with its static pods", *API_SERVERS, *MANAGERS, *SCHEDULERS, alone=True, arrange=running),
    near_miss(PLANE, "out of sight", verdict=UNKNOWN, alone=True, arrange=patched(*((one, labelled(role=None)) for one in PLANES))),
]  # fmt: skip

RESERVED = "infrastructure.node-resource-reservations"
ONE = "Node {ns}-one"

RESERVATIONS = [
    defect(RESERVED, "no CPU is kept back", node("one"), subject=ONE, observed="status.allocatable.cpu: 8 of 8", alone=True, arrange=statuses("one", {"cpu": "8"})),
    defect(RESERVED, "the same CPU in other words", node("one"), subject=ONE, observed="status.allocatable.cpu", alone=True, arrange=statuses("one", {"cpu": "8000m"})),
    defect(RESERVED, "no memory is kept back", node("one"), subject=ONE, observed="status.allocatable.memory", alone=True, arrange=statuses("one", {"memory": "32Gi"})),
    defect(RESERVED, "no storage is kept back", node("one"), subject=ONE, observed="status.allocatable.ephemeral-storage", alone=True, arrange=statuses("one", {"ephemeral-storage": "100Gi"})),
    near_miss(RESERVED, "all three", node("one"), subject=ONE, alone=True, arrange=all_ready("one")),
    near_miss(RESERVED, "memory by the eviction threshold", node("one"), subject=ONE, verdict=UNKNOWN, alone=True, arrange=statuses("one", {"memory": "32668Mi"})),
    near_miss(RESERVED, "a virtual node", node("one", labels={"type": "virtual-kubelet"}), subject=ONE, verdict=NA, alone=True),
]  # fmt: skip

WORKERS = "infrastructure.three-worker-nodes"
CORDON = {"spec": {"unschedulable": True}}
TAINT = {"spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]}}
SOFT = {"spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "PreferNoSchedule"}]}}
OPERATOR = {"subjects": {"operator": {"namespace": "{ns}", "name": "web"}}}
TOLERANT = deployment(
    pod={"tolerations": [{"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}]}
)
MOST = ("node-0", "node-1", "node-2", "node-3")

NODES_FOR_PODS = [
    defect(WORKERS, "four are cordoned", observed="cordoned", alone=True, arrange=patched(*((one, CORDON) for one in MOST))),
    defect(WORKERS, "four have a taint", observed="taint dedicated", alone=True, arrange=patched(*((one, TAINT) for one in MOST))),
    defect(WORKERS, "a taint of another value", deployment(pod={"tolerations": [{"key": "dedicated", "operator": "Equal", "value": "cpu"}]}), observed="taint dedicated", policy=OPERATOR, alone=True, arrange=patched(*((one, TAINT) for one in MOST))),
    near_miss(WORKERS, "three are left", alone=True, arrange=patched(*((one, CORDON) for one in MOST[:3]))),
    near_miss(WORKERS, "a taint that only prefers", alone=True, arrange=patched(*((one, SOFT) for one in MOST))),
    near_miss(WORKERS, "a taint that the operator tolerates", TOLERANT, policy=OPERATOR, alone=True, arrange=patched(*((one, TAINT) for one in MOST))),
]  # fmt: skip

VERSION = "infrastructure.kubernetes-1-24"

VERSIONS = [
    defect(
        VERSION,
        "older than what is asked for",
        observed="v1.",
        policy={"thresholds": {"infrastructure.kubernetes-minor": 99}},
    ),
    near_miss(VERSION, "newer than 1.24"),
]

EKS, AKS, GKE = (f"infrastructure.{one}-cluster" for one in ("eks", "aks", "gke"))
AZURE_CNI = "infrastructure.aks-azure-cni"
ON_EKS, ON_AKS, ON_GKE = ({"subjects": {"provider": one}} for one in ("eks", "aks", "gke"))
AKS_LABELS = {"kubernetes.azure.com/cluster": "shop", "kubernetes.azure.com/mode": "system"}
AKS_NODE = node("one", "azure:///subscriptions/s/vm/0", AKS_LABELS)


PROVIDERS = [
    defect(EKS, "nodes of EKS under a server of another make", node("one", "aws:///a/i-1", {"eks.amazonaws.com/nodegroup": "workers"}), observed="version: v1.", policy=ON_EKS, alone=True, arrange=all_ready("one")),
    defect(EKS, "the wrong context", observed="nodes: not set", policy=ON_EKS),
    near_miss(EKS, "no provider is named", verdict=NA),
    defect(AKS, "the wrong context", observed="nodes: not set", policy=ON_AKS),
    defect(AKS, "no system pool", node("one", "azure:///subscriptions/s/vm/0", {**AKS_LABELS, "kubernetes.azure.com/mode": "user"}), observed="user", policy=ON_AKS, alone=True, arrange=all_ready("one")),
    defect(AKS, "a node is not Ready", AKS_NODE, node("two", "azure:///subscriptions/s/vm/1", {**AKS_LABELS, "type": "none"}), observed="not Ready", policy=ON_AKS, alone=True, arrange=all_ready("one")),
    near_miss(AKS, "with a system pool", AKS_NODE, policy=ON_AKS, alone=True, arrange=all_ready("one")),
    near_miss(AKS, "another provider is named", verdict=NA, policy=ON_GKE),
    defect(GKE, "nodes of another provider", AKS_NODE, observed="nodes: not set", policy=ON_GKE, alone=True, arrange=all_ready("one")),
    near_miss(GKE, "no provider is named", verdict=NA),
    defect(AZURE_CNI, "kubenet", node("one", "azure:///x", {"kubernetes.azure.com/podnetwork-type": "kubenet"}), observed="network plugin", policy=ON_AKS, alone=True),
    near_miss(AZURE_CNI, "overlay", node("one", "azure:///x", {"kubernetes.azure.com/podnetwork-type": "overlay"}), policy=ON_AKS, alone=True),
    near_miss(AZURE_CNI, "node subnets leave no mark", AKS_NODE, policy=ON_AKS, alone=True, verdict=UNKNOWN),
    near_miss(AZURE_CNI, "no provider is named", verdict=NA),
]  # fmt: skip

CILIUM = "infrastructure.cilium-ebpf-cni"
ON_CILIUM = {"subjects": {"cni": "cilium"}}
AGENT_LABELS = {"metadata": {"labels": {"k8s-app": "cilium"}}}


def agents(**pod: Any) -> Raw:
    """Cilium's agents."""
    return merge(daemon_set("cilium", pod=pod, template=AGENT_LABELS), AGENT_LABELS)


CILIUM_CASES = [
    defect(CILIUM, "declared, and no agent", observed="agents: none", policy=ON_CILIUM, alone=True),
    defect(CILIUM, "agents on the workers only", agents(), observed="6", alone=True, pods=True),
    near_miss(CILIUM, "agents on every node, which is simulated", agents(tolerations=[{"operator": "Exists"}]), verdict=UNKNOWN, alone=True, pods=True),
    near_miss(CILIUM, "another plugin is declared", agents(), policy={"subjects": {"cni": "calico"}}, verdict=NA, alone=True, pods=True),
    near_miss(CILIUM, "nothing is declared or found", verdict=NA, alone=True),
]  # fmt: skip

CASES: list[Case] = [*CONTROL_PLANE, *RESERVATIONS, *NODES_FOR_PODS, *VERSIONS, *PROVIDERS, *CILIUM_CASES]
