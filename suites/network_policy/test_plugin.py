"""The network plugin that has to enforce the policies."""

from __future__ import annotations

from fixtures.network_plugins import READS, is_virtual, plugins
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, WholeCluster

TIGERA = "tigerastatuses.operator.tigera.io"


@readiness("network-policy.cni-plugin", severity="critical", reads=(*READS, TIGERA))
def test_network_plugin_enforces_policies(cluster: WholeCluster, findings: Findings, inventory: Reader) -> None:
    """A network plugin that enforces network policies is healthy on every node.

    Why: The API server stores every NetworkPolicy and enforces none; with a plugin that ignores them nothing is denied,
    and nothing says so.
    How: The DaemonSets of the known plugins, by their labels: one that enforces (Cilium, Calico, Canal, Antrea,
    OVN-Kubernetes, kube-router, Azure's policy manager, Amazon's with its policy agent switched on) ready on every Linux
    node; TigeraStatus Available where it exists; no node with NetworkUnavailable. A plugin that the suite does not know
    is not assessed, and neither is one on simulated nodes, where nothing runs.
    Fix: Install Cilium or Calico, or switch on the provider's policy agent, and repair the agents listed.
    Does not prove: Enforcement itself, which only a connection that is refused shows.
    """
    nodes = [Node(raw) for raw in inventory.objects("nodes")]
    found = inventory.derive(plugins)
    enforcing = [one for one in found if one.enforces]
    look = "kubectl get daemonsets -A"
    if not enforcing:
        unknown = [one.name for one in found if one.enforces is None]
        if unknown or not found:
            findings.not_assessed(_unknown(unknown, nodes))
        named = [one.name for one in found]
        findings.expect(False, "plugin", expected="one that enforces network policies", observed=named, look=look)
    linux = [node for node in nodes if node.labels.get("kubernetes.io/os") == "linux" and not is_virtual(node.labels)]
    for one in enforcing:
        place = f"DaemonSet {one.place}"
        expected = f"ready on all {len(linux)} Linux nodes"
        findings.expect(one.ready == one.wanted >= len(linux), place, expected=expected, observed=one.ready, look=look)
    for raw in inventory.objects(TIGERA):
        available = _condition(raw, "Available")
        findings.expect(
            available == "True", f"TigeraStatus {raw['metadata']['name']}", expected="Available", observed=available
        )
    for node in nodes:
        unavailable = _condition(node.raw, "NetworkUnavailable")
        findings.expect(unavailable != "True", node, expected="a configured network", observed="NetworkUnavailable")
    if any(node.simulated for node in nodes):
        findings.not_assessed("nodes are simulated, so that no plugin runs on them")


def _unknown(names: list[str], nodes: list[Node]) -> str:
    if names:
        return f"{', '.join(names)}: some releases enforce policies, others do not"
    if nodes and all(node.simulated for node in nodes):
        return "all nodes are simulated, so that no network plugin runs"
    return "no DaemonSet of a known network plugin was found"


def _condition(raw: dict[str, object], name: str) -> str:
    status = raw.get("status")
    conditions = (status.get("conditions") if isinstance(status, dict) else None) or ()
    return next((str(one.get("status")) for one in conditions if one.get("type") == name), "")
