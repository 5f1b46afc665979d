"""The managed clusters that a fleet consists of: is this one what the policy file says, and is it healthy?"""

from __future__ import annotations

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, WholeCluster
from suites.infrastructure.providers import PROVIDERS, git_version

DAEMON_SETS = "daemonsets.apps"
_POD_NETWORK = "kubernetes.azure.com/podnetwork-type"
_OVERLAY = "kubernetes.azure.com/azure-cni-overlay"
_DATA_PLANE = "kubernetes.azure.com/ebpf-dataplane"


def _judge(findings: Findings, inventory: Reader, policy: Policy, name: str) -> list[Node]:
    """The part that is the same for all of them; returns the nodes."""
    provider = PROVIDERS[name]
    if policy.subjects.provider != name:
        findings.not_applicable(f"subjects.provider of the policy file does not say {name}")
    nodes = [Node(raw) for raw in inventory.objects("nodes")]
    own = [node.short_name for node in nodes if provider.owns(node)]
    expected = f"providerID {provider.scheme} and one of the labels {', '.join(provider.labels)}"
    findings.expect(bool(own), "nodes", expected=expected, observed=own, look="kubectl get nodes -o yaml")
    if provider.version_mark:
        version = git_version(inventory)
        marked = provider.version_mark in version
        findings.expect(
            marked, "version", expected=f"...{provider.version_mark}...", observed=version, look="kubectl version"
        )
    for node in nodes:
        findings.expect(node.ready, node, expected="Ready", observed="not Ready")
    return nodes


@readiness("infrastructure.eks-cluster", severity="high", reads=("nodes",))
def test_eks_cluster_is_healthy(cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The cluster that the policy file calls EKS is one, and healthy.

    Why: Evidence that is filed under the wrong cluster proves nothing about the right one.
    How: Judged where subjects.provider is eks: gitVersion has -eks-, nodes have a providerID of aws and a label of a
    node group, Fargate or Karpenter, and all nodes are Ready. The answers of the API server are the proof that it lives.
    Fix: Correct the context, or repair the nodes listed.
    Does not prove: The provider's own service level.
    """
    _judge(findings, inventory, policy, "eks")


@readiness("infrastructure.aks-cluster", severity="high", reads=("nodes",))
def test_aks_cluster_is_healthy(cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The cluster that the policy file calls AKS is one, and healthy.

    Why: Evidence that is filed under the wrong cluster proves nothing about the right one.
    How: Judged where subjects.provider is aks: nodes have a providerID of azure and the labels of AKS, one pool is a
    system pool (kubernetes.azure.com/mode=system), and all nodes are Ready. AKS leaves no mark in the version.
    Fix: Correct the context, add a system node pool, or repair the nodes listed.
    Does not prove: The provider's own service level.
    """
    nodes = _judge(findings, inventory, policy, "aks")
    modes = {node.labels.get("kubernetes.azure.com/mode", "") for node in nodes}
    findings.expect("system" in modes, "node pools", expected="a pool in mode system", observed=sorted(modes - {""}))


@readiness("infrastructure.gke-cluster", severity="high", reads=("nodes",))
def test_gke_cluster_is_healthy(cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The cluster that the policy file calls GKE is one, and healthy.

    Why: Evidence that is filed under the wrong cluster proves nothing about the right one.
    How: Judged where subjects.provider is gke: gitVersion has -gke., nodes have a providerID of gce and the label of a
    node pool, and all nodes are Ready.
    Fix: Correct the context, or repair the nodes listed.
    Does not prove: The provider's own service level.
    """
    _judge(findings, inventory, policy, "gke")


@readiness("infrastructure.aks-azure-cni", severity="medium", reads=("nodes", DAEMON_SETS))
def test_aks_uses_azure_cni(cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The AKS cluster uses Azure CNI.

    Why: kubenet is retired, does not do Windows nodes or Azure's network policies, and routes through a route table.
    How: Judged where subjects.provider is aks: the DaemonSet azure-cns in kube-system, or node labels of Azure CNI
    (podnetwork-type, azure-cni-overlay, ebpf-dataplane). Azure CNI with node subnets leaves no mark: not assessed then.
    Fix: Create or migrate the cluster with network plugin azure.
    Does not prove: Which mode of Azure CNI is in use.
    """
    if policy.subjects.provider != "aks":
        findings.not_applicable("subjects.provider of the policy file does not say aks")
    kubenet = [raw for raw in inventory.objects(DAEMON_SETS) if raw["metadata"].get("name") == "kubenet"]
    agents = [
        f"DaemonSet kube-system/{raw['metadata']['name']}"
        for raw in inventory.objects(DAEMON_SETS)
        if raw["metadata"].get("namespace") == "kube-system" and raw["metadata"].get("name") == "azure-cns"
    ]
    nodes = [Node(raw) for raw in inventory.objects("nodes")]
    labels = {label for node in nodes for label in (_POD_NETWORK, _OVERLAY, _DATA_PLANE) if node.labels.get(label)}
    marks = [*agents, *sorted(labels)]
    none = [node.short_name for node in nodes if node.labels.get(_POD_NETWORK) in ("none", "kubenet")]
    findings.expect(not (none or kubenet), "network plugin", expected="azure", observed=none or "kubenet")
    if not marks:
        findings.not_assessed(
            "no mark of Azure CNI: with node subnets it leaves none, and the API does not show the plugin"
        )
