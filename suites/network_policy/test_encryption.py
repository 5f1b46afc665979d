"""Traffic between pods is encrypted on the wire."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.network_plugins import READS as PLUGIN_READS
from fixtures.network_plugins import plugins
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace, Raw, Reader, Workload

PEER_AUTHENTICATIONS = "peerauthentications.security.istio.io"
CILIUM_NODES = "ciliumnodes.cilium.io"
FELIX = "felixconfigurations.crd.projectcalico.org"
READS = (*PLUGIN_READS, PEER_AUTHENTICATIONS, CILIUM_NODES, FELIX)

_ISTIO_ROOT = "istio-system"
_WIREGUARD_KEY = "network.cilium.io/wg-pub-key"
_AMBIENT = "istio.io/dataplane-mode"
_PROXIES = {"istio-proxy": "istio", "linkerd-proxy": "linkerd"}


@readiness("network-policy.pod-traffic-encrypted", severity="high", reads=READS)
def test_pod_traffic_is_encrypted(namespace: Namespace, findings: Findings, inventory: Reader) -> None:
    """Traffic between the pods of every namespace is encrypted.

    Why: Whoever reads a wire, a mirror port or a node's interface reads whatever pods say to each other in the clear.
    How: One mechanism for all pods of the namespace: Cilium (every CiliumNode has a WireGuard key or an IPsec key
    index), Calico (FelixConfiguration default with wireguardEnabled), Istio (the effective PeerAuthentication is STRICT,
    and each workload has the sidecar or the namespace is ambient), Linkerd (each workload has the proxy).
    Fix: Turn on WireGuard in the network plugin, or put the namespace into the mesh with mutual TLS in mode STRICT.
    Does not prove: That every flow is encrypted: meshes leave out ports on request, Linkerd's proxy encrypts between
    meshed pods only. Where the network below Kubernetes encrypts, a person has to attest it: the API does not show it.
    """
    node_wide = list(_node_wide(inventory))
    if any(encrypted for _, encrypted in node_wide):
        names = [name for name, encrypted in node_wide if encrypted]
        findings.expect(True, namespace, expected="encryption of all pod traffic", observed=names)
        return
    mesh = _mesh(namespace)
    strict = _istio_mode(inventory, namespace.short_name)
    if not node_wide and not mesh and not strict:
        findings.not_assessed("the API shows no mechanism; encryption below Kubernetes is for a person to attest")
    if strict and (mesh == "istio" or not node_wide):
        findings.expect(strict == "STRICT", "PeerAuthentication", expected="mode STRICT", observed=strict)
    for name in _weakened(inventory, namespace.short_name):
        findings.expect(
            False, f"PeerAuthentication {name}", expected="mode STRICT", observed="weaker for a workload or port"
        )
    for workload in namespace.workloads:
        proxy = _proxy(workload) or mesh_of(namespace.labels)
        expected = "a mesh's proxy, or encryption of all pod traffic by the network plugin"
        findings.expect(
            bool(proxy), workload, expected=expected, observed=[name for name, _ in node_wide] or proxy or "none"
        )


def _node_wide(inventory: Reader) -> Iterator[tuple[str, bool]]:
    """What encrypts between nodes, and whether it does; nothing where no such plugin shows itself in the API."""
    nodes = inventory.objects(CILIUM_NODES)
    if nodes:
        yield "Cilium without encryption", False
        if all(_cilium_key(raw) for raw in nodes):
            yield "Cilium", True
    default = [raw for raw in inventory.objects(FELIX) if raw["metadata"].get("name") == "default"]
    if default or any(one.name in ("Calico", "Canal") for one in inventory.derive(plugins)):
        on = any((raw.get("spec") or {}).get("wireguardEnabled") is True for raw in default)
        yield ("Calico" if on else "Calico without encryption"), on


def _cilium_key(raw: Raw) -> bool:
    if (raw["metadata"].get("annotations") or {}).get(_WIREGUARD_KEY):
        return True
    return int(((raw.get("spec") or {}).get("encryption") or {}).get("key") or 0) > 0


def _istio_mode(inventory: Reader, namespace: str) -> str:
    """The mode of the namespace, else of the mesh, by policies without a selector; PERMISSIVE is Istio's default."""
    modes: dict[str, str] = {}
    for raw in inventory.objects(PEER_AUTHENTICATIONS):
        spec = raw.get("spec") or {}
        if not (spec.get("selector") or {}).get("matchLabels"):
            mode = str((spec.get("mtls") or {}).get("mode") or "UNSET")
            modes[str(raw["metadata"].get("namespace", ""))] = mode
    own, mesh = modes.get(namespace, "UNSET"), modes.get(_ISTIO_ROOT, "UNSET")
    if not modes:
        return ""
    return next((mode for mode in (own, mesh) if mode != "UNSET"), "PERMISSIVE")


def _weakened(inventory: Reader, namespace: str) -> Iterator[str]:
    """The policies of the namespace that take encryption back for single workloads or ports."""
    for raw in inventory.objects(PEER_AUTHENTICATIONS):
        spec = raw.get("spec") or {}
        single = [spec.get("mtls") or {}] if (spec.get("selector") or {}).get("matchLabels") else []
        modes = [one.get("mode") for one in (*single, *(spec.get("portLevelMtls") or {}).values())]
        if raw["metadata"].get("namespace") == namespace and any(mode in ("PERMISSIVE", "DISABLE") for mode in modes):
            yield f"{namespace}/{raw['metadata'].get('name')}"


def _mesh(namespace: Namespace) -> str:
    found = [_proxy(workload) for workload in namespace.workloads]
    return next((name for name in found if name), mesh_of(namespace.labels))


def mesh_of(labels: dict[str, str]) -> str:
    """The mesh that a namespace with these labels is in without sidecars, "" where it is in none."""
    return "istio" if labels.get(_AMBIENT) == "ambient" else ""


def _proxy(workload: Workload) -> str:
    pods = [pod for pod in workload.pods if not pod.ended]
    names = [{container.name for container in pod.containers} for pod in pods]
    if not pods:
        names = [{container.name for container in workload.containers}]
    for container, mesh in _PROXIES.items():
        if all(container in one for one in names):
            return mesh
    return ""
