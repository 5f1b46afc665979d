"""What pods must not reach on nodes: the cloud's metadata service, the kubelet without credentials, etcd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fixtures.lab import Workbench, objects
from fixtures.lab.flows import BLOCKED, KUBELET, METADATA
from fixtures.lab.spread import Question, ask, each, endpoint, posted, posts, usable
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, WholeCluster

if TYPE_CHECKING:
    from fixtures.lab.probe import Answer

CONTROL: Question = ("tcp", "kubernetes.default.svc:443", "--timeout", "5s")
"""What every pod reaches; where it does not come about, the pod is deaf, and what else fails proves nothing."""
KUBELET_READ_ONLY, ETCD = 10255, 2379
_NOTHING = (0, 400, 401, 403)
"""The statuses by which nothing is given away: no answer at all, plain HTTP to a port that speaks TLS, no credentials."""


@readiness(
    "network-policy.metadata-service-closed",
    severity="critical",
    needs=("pods", "traffic"),
    reads=("nodes",),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_pods_do_not_reach_the_metadata_service(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench
) -> None:
    """Pods do not reach the cloud's metadata service, on any node.

    Why: 169.254.169.254 hands out the credentials of the node's own identity, and often the data that it was started with,
        to whoever asks: one broken pod becomes the node.
    How: A pod of a new namespace on every ready Linux node connects to port 80 of the address, three times, beside a
        connection to the API server's Service that has to come about in the same question. A connection that opens fails,
        whatever is answered: a token may still be had where the plain request is refused.
    Fix: Deny the address to pods by a cluster-wide egress policy. Hop limit 1 and required tokens keep the credentials from
        pods as well, but not the connection; they, and a provider's workload identity that answers here, need a waiver.
    Does not prove: Why nothing answers. A timeout looks the same for a packet that is dropped and for an address that nobody
        has, as on premises; either way the pod gets nothing. Pods with hostNetwork, and IPv6 addresses, are not tried.
    """
    names, unready = usable(inventory.objects("nodes"))
    if not names:
        findings.not_assessed("no Linux node is Ready")
    asked: Sequence[Question] = [*[("tcp", f"{METADATA}:80")] * 3, CONTROL]
    with lab.place("metadata", pods=len(names)) as place:
        everywhere = posted(place, names)
        every = each(everywhere, lambda post: ask(post.probe, asked))
    deaf = [
        f"{post.node} ({answers[-1]})" for post, answers in zip(everywhere, every, strict=True) if not answers[-1].ok
    ]
    for post, answers in zip(everywhere, every, strict=True):
        seen = sorted({answer.kind or "a connection opened" for answer in answers[:-1]})
        closed = all(answer.kind in BLOCKED for answer in answers[:-1])
        if answers[-1].ok or not closed:
            at = f"{METADATA}:80 from {post.node}"
            findings.expect(closed, at, expected="no connection", observed=", ".join(seen))
    if deaf and not findings.failures:
        findings.inconclusive(f"these pods reach nothing at all, so that nothing is learned: {', '.join(deaf)}")
    if unready:
        findings.not_assessed(f"not tried, because NotReady: {', '.join(unready)}")


@readiness(
    "network-policy.node-services-refuse-pods",
    severity="critical",
    needs=("pods", "traffic"),
    reads=("nodes",),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_kubelets_and_etcd_refuse_pods(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench
) -> None:
    """Kubelets and etcd give a pod nothing without credentials.

    Why: A kubelet that answers anybody runs commands in every container of its node, its read-only port tells what runs
        there, and etcd holds every Secret.
    How: From a pod, on the internal address of every node: /pods of the kubelet (10250) is answered 401 or 403 or not at all,
        its read-only port (10255) is closed; on control-plane nodes etcd (2379) answers neither HTTPS without a client
        certificate nor HTTP. A connection to the API server's Service has to come about in the same question.
    Fix: Set authentication.anonymous.enabled: false, authorization.mode: Webhook and readOnlyPort: 0 in the kubelet's
        configuration; start etcd with --client-cert-auth and keep 2379 to the control plane's nodes.
    Does not prove: That the ports cannot be reached, nor etcd where its nodes are not nodes of this cluster.
    """
    nodes = [Node(raw) for raw in inventory.objects("nodes")]
    if unnamed := [node.short_name for node in nodes if not _doors(node)]:
        findings.not_assessed(f"nodes without an internal address: {', '.join(unnamed)}")
    tried = {f"{what} of {node.short_name}": question for node in nodes for what, question in _doors(node).items()}
    with lab.place("node-services") as place:
        place.create("pods", objects.pod("client", place.spec("serve")))
        [client] = posts(place, "client")
        seconds = 5.0 + 2.0 * len(tried) / _AT_ONCE
        *answers, control = ask(client.probe, [*tried.values(), CONTROL], seconds)
    for at, answer in zip(tried, answers, strict=True):
        findings.expect(
            _status(answer) in _NOTHING,
            at,
            expected="401, 403 or no connection",
            observed=f"status {_status(answer)}",
            look="kubectl get nodes -o wide",
        )
    if not (control.ok or findings.failures):
        findings.inconclusive(f"the pod reaches nothing at all, so that nothing is learned: {control}")


_AT_ONCE = 16
"""How many questions the probe has under way together (program/many.go), each of two seconds at most."""


def _doors(node: Node) -> dict[str, Question]:
    addresses = (node.raw.get("status") or {}).get("addresses") or ()
    host = next((str(one["address"]) for one in addresses if one["type"] == "InternalIP"), "")
    if not host:
        return {}
    found: dict[str, Question] = {
        "kubelet": ("http", f"https://{endpoint(host, KUBELET)}/pods", "--insecure"),
        "kubelet's read-only port": ("http", f"http://{endpoint(host, KUBELET_READ_ONLY)}/pods"),
    }
    if node.control_plane:
        found["etcd over HTTPS"] = ("http", f"https://{endpoint(host, ETCD)}/version", "--insecure")
        found["etcd over HTTP"] = ("http", f"http://{endpoint(host, ETCD)}/version")
    return found


def _status(answer: Answer) -> int:
    return int(answer.answer["status"]) if isinstance(answer.answer, dict) else 0
