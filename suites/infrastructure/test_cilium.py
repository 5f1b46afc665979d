"""Cilium as the network plugin, with its own data path."""

from __future__ import annotations

from fixtures.network_plugins import READS, is_virtual, plugins
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Raw, Reader, WholeCluster

ENDPOINTS = "ciliumendpoints.cilium.io"


@readiness("infrastructure.cilium-ebpf-cni", severity="high", reads=(*READS, "pods", ENDPOINTS))
def test_cilium_serves_every_node_by_ebpf(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Cilium is the network plugin and handles Services in eBPF.

    Why: A cluster whose plan counts on Cilium's policies, routing and visibility has none of them on a node without a
    ready agent, and with kube-proxy beside it Services take the other path.
    How: Judged where subjects.cni is cilium, or where its agents are found: the DaemonSet (k8s-app=cilium, or anetd on
    GKE) is ready on every Linux node, every running pod outside the host network has a CiliumEndpoint that is ready, and
    no kube-proxy DaemonSet runs. With kube-proxy present the replacement may still be on: not assessed.
    Fix: Install Cilium with kubeProxyReplacement=true, repair the agents listed, then remove kube-proxy.
    Does not prove: Routing mode and masquerading, which are in the ConfigMap cilium-config, whose values are never read.
    """
    agents = [one for one in inventory.derive(plugins) if one.name == "Cilium"]
    declared = policy.subjects.cni.casefold()
    if declared != "cilium" and (declared or not agents):
        findings.not_applicable(
            f"subjects.cni says {declared!r}" if declared else "no Cilium agent exists, and none is declared"
        )
    nodes = [Node(raw) for raw in inventory.objects("nodes")]
    linux = [node for node in nodes if node.labels.get("kubernetes.io/os") == "linux" and not is_virtual(node.labels)]
    look = "kubectl get daemonsets -A -l k8s-app=cilium"
    findings.expect(bool(agents), "agents", expected="a DaemonSet of Cilium", observed="none", look=look)
    for one in agents:
        ok = one.ready == one.wanted >= len(linux)
        expected = f"ready on all {len(linux)} Linux nodes"
        findings.expect(ok, f"DaemonSet {one.place}", expected=expected, observed=one.ready, look=look)
    if any(node.simulated for node in nodes):
        findings.not_assessed("nodes are simulated, so that no agent runs on them")
    _judge_endpoints(findings, inventory)
    if any(raw["metadata"].get("name") == "kube-proxy" for raw in inventory.objects("daemonsets.apps")):
        findings.not_assessed("kube-proxy runs beside Cilium, and cilium-config is not read")


def _judge_endpoints(findings: Findings, inventory: Reader) -> None:
    states = {_place(raw): (raw.get("status") or {}).get("state") for raw in inventory.objects(ENDPOINTS)}
    for raw in inventory.objects("pods"):
        spec, status = raw.get("spec") or {}, raw.get("status") or {}
        if status.get("phase") == "Running" and not spec.get("hostNetwork"):
            state = states.get(_place(raw))
            findings.expect(state == "ready", f"Pod {_place(raw)}", expected="a ready CiliumEndpoint", observed=state)


def _place(raw: Raw) -> str:
    return f"{raw['metadata'].get('namespace')}/{raw['metadata'].get('name')}"
