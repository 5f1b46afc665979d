"""How EKS, AKS and GKE show themselves in the API."""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.subjects import Node, Reader, Unreadable


@dataclass(frozen=True, slots=True)
class Provider:
    """A managed Kubernetes: the scheme of its nodes' providerID, its node labels, and its mark in the server's version."""

    title: str
    scheme: str
    labels: tuple[str, ...]
    version_mark: str = ""

    def owns(self, node: Node) -> bool:
        """Whether a node is this provider's: by its labels and the scheme of its providerID."""
        provider_id = str((node.raw.get("spec") or {}).get("providerID") or "")
        return provider_id.startswith(self.scheme) and any(label in node.labels for label in self.labels)

    def identifies(self, reader: Reader) -> bool:
        """Whether some node is this provider's. Raises Unreadable."""
        return any(self.owns(Node(raw)) for raw in reader.objects("nodes"))


PROVIDERS = {
    "eks": Provider(
        "Amazon EKS",
        "aws://",
        (
            "eks.amazonaws.com/nodegroup",
            "eks.amazonaws.com/compute-type",
            "karpenter.sh/nodepool",
            "alpha.eksctl.io/nodegroup-name",
        ),
        "-eks-",
    ),
    "aks": Provider("Azure AKS", "azure://", ("kubernetes.azure.com/cluster", "kubernetes.azure.com/mode")),
    "gke": Provider("Google GKE", "gce://", ("cloud.google.com/gke-nodepool",), "-gke."),
}


def git_version(reader: Reader) -> str:
    """The server's gitVersion, such as v1.33.1-eks-1a2b3c4. Raises Unreadable."""
    version = reader.version().get("gitVersion")
    if not isinstance(version, str) or not version:
        raise Unreadable("version", "the server's answer has no gitVersion")
    return version
