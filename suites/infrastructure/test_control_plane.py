"""The control plane survives the loss of a node."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from fixtures import limits
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Pod, Raw, Reader, WholeCluster
from suites.infrastructure.providers import PROVIDERS

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
IDENTITY = "apiserver.kubernetes.io/identity"
READS = ("nodes", "pods", "leases.coordination.k8s.io")


@readiness("infrastructure.control-plane-nodes", severity="critical", reads=READS)
def test_control_plane_runs_on_three_nodes(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """The control plane runs on three Ready nodes or more, in different zones.

    Why: etcd needs a majority; with fewer than three members the loss of one node takes the API away, and with a
    majority in one zone the loss of that zone does.
    How: Nodes with the label node-role.kubernetes.io/control-plane (or the older master) that are Ready; where the
    components run as static pods, each node has its three; where nodes are labelled with zones, none holds a majority.
    Unexpired identity Leases count the API servers that live. A control plane that a provider keeps out of sight is not
    assessed.
    Fix: Join control-plane nodes until three or five are Ready in different zones, or choose the provider's regional
    control plane.
    Does not prove: That the API outlives a node, which high-availability.api-server-loss and etcd-leader-loss show by
    killing; nor, where nodes are simulated, that they are different machines.
    """
    nodes = [node for node in map(Node, inventory.objects("nodes")) if node.control_plane]
    alive = sum(_unexpired(raw) for raw in inventory.objects("leases.coordination.k8s.io"))
    provider = next((one.title for one in PROVIDERS.values() if one.identifies(inventory)), "")
    if not nodes:
        place = (
            f"{provider} keeps the control plane out of sight"
            if provider
            else "no node carries the control plane's label"
        )
        findings.not_assessed(f"{place}; identity Leases show {alive} live API servers")
    ready = [node for node in nodes if node.ready]
    wanted = int(policy.limit(limits.CONTROL_PLANE_NODES))
    look = "kubectl get nodes -L topology.kubernetes.io/zone"
    findings.expect(
        len(ready) >= wanted, "control plane", expected=f"{wanted} Ready nodes", observed=_names(ready), look=look
    )
    zones = Counter(node.zone for node in nodes if node.zone)
    if len({node.zone for node in map(Node, inventory.objects("nodes"))} - {""}) > 1 and zones.total() == len(nodes):
        zone, most = zones.most_common(1)[0]
        observed = f"{most} of {len(nodes)} in {zone}"
        expected = "no zone holds a majority of the control plane's nodes"
        findings.expect(
            2 * most <= len(nodes) or len(nodes) == 1, "zones", expected=expected, observed=observed, look=look
        )
    _judge_components(findings, inventory, ready)


def _judge_components(findings: Findings, inventory: Reader, nodes: list[Node]) -> None:
    running: dict[str, set[str]] = {}
    for raw in inventory.objects("pods"):
        component = (raw["metadata"].get("labels") or {}).get("component")
        if raw["metadata"].get("namespace") == "kube-system" and component in COMPONENTS and Pod(raw).ready:
            running.setdefault(component, set()).add(Pod(raw).node)
    if not running:  # they run as processes of the host, which the API does not show
        return
    for node in nodes:
        for component in COMPONENTS:
            there = node.short_name in running.get(component, ())
            look = f"kubectl -n kube-system get pods -l component={component} -o wide"
            findings.expect(there, node, expected=f"a Ready {component}", observed="none", look=look)


def _unexpired(lease: Raw) -> bool:
    if (lease["metadata"].get("labels") or {}).get(IDENTITY) != "kube-apiserver":
        return False
    spec = lease.get("spec") or {}
    if not spec.get("renewTime"):
        return False
    renewed = datetime.fromisoformat(str(spec["renewTime"]))
    return renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0)) > datetime.now(UTC)


def _names(nodes: list[Node]) -> list[str]:
    return [node.short_name for node in nodes]
