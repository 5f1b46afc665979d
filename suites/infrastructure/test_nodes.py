"""Nodes: enough of them, and with room kept back for their own daemons."""

from __future__ import annotations

from fixtures import limits
from fixtures.network_plugins import is_virtual
from fixtures.policy import Policy
from fixtures.quantities import quantity
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Raw, Reader, WholeCluster
from fixtures.subjects.assessed import place

BARRING = ("NoSchedule", "NoExecute")


@readiness("infrastructure.node-resource-reservations", severity="high")
def test_nodes_keep_resources_back(node: Node, findings: Findings, policy: Policy) -> None:
    """Every node keeps CPU, memory and ephemeral storage back for its own daemons.

    Why: Where pods may have all of a node they starve the kubelet and the container runtime, the node goes NotReady, and
    its load falls on the next one.
    How: status.allocatable is below status.capacity for cpu and ephemeral-storage, and for memory by more than the
    kubelet's eviction threshold (100Mi by default), which alone is no reservation. A smaller gap of memory cannot be
    told from that threshold without the kubelet's configuration: not assessed then.
    Fix: Set kubeReserved, systemReserved and evictionHard in the KubeletConfiguration of the node pool.
    Does not prove: That the amounts are enough for the node's size, nor that the kubelet enforces them for its daemons.
    """
    if is_virtual(node.labels):
        findings.not_applicable("a virtual node runs no daemons of its own")
    status = node.raw.get("status") or {}
    capacity, allocatable = status.get("capacity") or {}, status.get("allocatable") or {}
    if not capacity.get("cpu") or not capacity.get("memory"):
        findings.not_assessed("the node reports no capacity")
    for resource in ("cpu", "memory", "ephemeral-storage"):
        if resource in capacity:
            gap = quantity(capacity[resource]) - quantity(allocatable.get(resource, 0))
            observed = f"{allocatable.get(resource)} of {capacity[resource]}"
            findings.expect(
                gap > 0, f"status.allocatable.{resource}", expected="less than the capacity", observed=observed
            )
    memory = quantity(capacity["memory"]) - quantity(allocatable.get("memory", 0))
    if 0 < memory <= policy.limit(limits.EVICTION_MEMORY):
        findings.not_assessed(
            "the gap of memory may be the eviction threshold alone; the kubelet's configuration would tell"
        )


@readiness("infrastructure.three-worker-nodes", severity="high", reads=("nodes", "deployments.apps"))
def test_workers_are_enough_to_spread(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Three worker nodes or more can take pods.

    Why: Three replicas on fewer nodes share one, and one failure or drain takes two of them.
    How: Nodes that are Ready, not cordoned and without taints that the operator of subjects.operator (or a plain pod,
    where none is named) does not tolerate. Control-plane nodes count if they are untainted.
    Fix: Add worker nodes, uncordon them, or remove their taints.
    Does not prove: That the nodes have room for the pods, nor that they stand in different zones.
    """
    tolerations = _tolerations(inventory, policy)
    usable, barred = [], []
    for node in map(Node, inventory.objects("nodes")):
        reason = _barred(node, tolerations)
        if reason:
            barred.append(f"{node.short_name}: {reason}")
        else:
            usable.append(node.short_name)
    wanted = int(policy.limit(limits.WORKER_NODES))
    observed = f"{len(usable)} ({', '.join(usable)})" + (f"; not {', '.join(barred)}" if barred else "")
    expected = f"{wanted} nodes that take pods"
    findings.expect(len(usable) >= wanted, "nodes", expected=expected, observed=observed, look="kubectl get nodes")


def _tolerations(inventory: Reader, policy: Policy) -> list[Raw]:
    operator = policy.subjects.operator
    if operator is None:
        return []
    name = f"{operator.namespace}/{operator.name}"
    for raw in inventory.objects("deployments.apps"):
        if place(raw) == name:
            return ((raw["spec"].get("template") or {}).get("spec") or {}).get("tolerations") or []
    return []


def _barred(node: Node, tolerations: list[Raw]) -> str:
    if not node.ready:
        return "not Ready"
    if (node.raw.get("spec") or {}).get("unschedulable"):
        return "cordoned"
    taints = [taint for taint in node.taints if taint.get("effect") in BARRING]
    refused = [str(taint["key"]) for taint in taints if not any(_tolerates(one, taint) for one in tolerations)]
    return f"taint {', '.join(refused)}" if refused else ""


def _tolerates(toleration: Raw, taint: Raw) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")
