"""Whether the network plugin really enforces policies, tried out with traffic between pods of the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fixtures.lab import Place, Workbench, objects
from fixtures.lab.flows import Flow, await_flows, baseline, dns, flow
from fixtures.lab.spread import Post, posts, usable
from fixtures.limits import POLICY_EFFECT
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, WholeCluster

USES = ("namespaces", "networkpolicies", "pods", "pods/exec")
DENIED, ALLOWED = "no connection", "a connection"
NAMESPACE = "kubernetes.io/metadata.name"
Raw = dict[str, Any]


@readiness(
    "network-policy.default-deny-enforced",
    severity="critical",
    needs=("pods", "traffic"),
    consent="probes",
    uses=USES,
)
def test_default_deny_is_enforced(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """The network plugin enforces default-deny, for each direction by itself.

    Why: A plugin that does not enforce policies accepts them all the same: the objects look right and everything is open.
    How: Four pods of one namespace, each seen to reach the other. Then ingress is denied to one and egress to another,
        and within 30 s TCP, UDP and DNS are blocked exactly there, while a connection beside them goes on working in the
        same round. Then one port of the first and DNS of the second are allowed, and just these open.
    Fix: Install a network plugin that enforces NetworkPolicy in both directions, such as Cilium or Calico.
    Does not prove: Enforcement on every node: two pods may have landed on one (see network-policy.tested-and-validated).
    """
    limit = policy.limit(POLICY_EFFECT)
    with lab.place("default-deny", own=True) as place:
        client, shut, free, mute = _placed(place, {"client": "", "shut": "", "free": "", "mute": ""})
        into = [flow(client, shut, port) for port in ("tcp", "udp", "http")]
        out = [flow(mute, free, port) for port in ("tcp", "udp")]
        beside = [flow(client, free, "tcp"), flow(client, mute, "tcp"), dns(client)]
        baseline(findings, [*into, *out, dns(mute), *beside])
        place.create("networkpolicies", objects.policy("no-ingress", "shut", ingress=[]))
        place.create("networkpolicies", objects.policy("no-egress", "mute", egress=[]))
        wanted = {**dict.fromkeys([*into, *out, dns(mute)], False), **dict.fromkeys(beside, True)}
        if not judge(findings, wanted, limit, "denied"):
            return
        place.create("networkpolicies", objects.policy("one-port", "shut", ingress=[opened("client", "tcp")]))
        place.create("networkpolicies", objects.policy("dns", "mute", egress=[DNS]))
        judge(findings, {**wanted, into[0]: True, dns(mute): True}, limit, "allowed")


@readiness(
    "network-policy.tested-and-validated",
    severity="critical",
    needs=("pods", "traffic"),
    reads=("nodes",),
    consent="probes",
    uses=USES,
)
def test_policies_act_as_written(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """Network policies act as written, on one node and across nodes.

    Why: Selectors over namespaces and pods are what real policies are made of, and a plugin may enforce them on one path
        (same node, other node, UDP, egress) and not on another.
    How: A server in one namespace, and in another two allowed and two other clients, one of each on the server's node and
        on another. Everything connects; then both namespaces deny all, then one port opens to the allowed clients by
        namespaceSelector and podSelector, and DNS. Within 30 s of each change exactly the allowed flows work, over TCP
        and UDP; when the policies are gone, all work again.
    Fix: Look at the plugin's enforcement mode and its agent on the nodes that are named; a flow that is open though denied
        means that policies are not, or not everywhere, enforced.
    Does not prove: The policies of the cluster's own workloads, policies of other kinds, and ports of other protocols.
    """
    limit = policy.limit(POLICY_EFFECT)
    near, far = two_nodes(inventory, findings)
    with lab.place("policies-server", own=True) as here, lab.place("policies-clients", own=True) as there:
        clients = {"friend-near": near, "friend-far": far, "other-near": near, "other-far": far}
        place_pods(here, {"server": near})
        place_pods(there, clients, role=lambda name: name.partition("-")[0])
        [server], asking = posts(here, "server"), posts(there, *clients)
        friends = [one for one in asking if one.probe.pod.startswith("friend")]
        flows = [flow(one, server, port, _where(one, server)) for one in asking for port in ("tcp", "udp", "http")]
        every = [*flows, *map(dns, asking)]
        baseline(findings, every)
        for place in (here, there):
            place.create("networkpolicies", objects.policy("deny-all", ingress=[], egress=[]))
        if not judge(findings, dict.fromkeys(every, False), limit, "denied"):
            return
        _open_one_port(here, there)
        allowed = [flow(one, server, port, _where(one, server)) for one in friends for port in ("tcp", "udp")]
        if not judge(findings, {one: one in [*allowed, *map(dns, asking)] for one in every}, limit, "allowed"):
            return
        for place, names in ((here, ("deny-all", "one-port")), (there, ("deny-all", "to-server", "dns"))):
            for name in names:
                place.delete("networkpolicies", name)
        judge(findings, dict.fromkeys(every, True), limit, "after the policies were deleted")


DNS: Raw = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
"""An egress rule that lets pods ask for names, wherever the name servers are."""


def opened(app: str, *ports: str) -> Raw:
    """An ingress rule for the pods named `app` of the same namespace, on the probe's ports of these names."""
    return {"from": [{"podSelector": {"matchLabels": {objects.APP: app}}}], "ports": [_port(name) for name in ports]}


def _port(name: str) -> Raw:
    return {"port": objects.PORTS[name], "protocol": "UDP" if name == "udp" else "TCP"}


def _open_one_port(here: Place, there: Place) -> None:
    def of(namespace: str, labels: Mapping[str, str]) -> Raw:
        return {
            "namespaceSelector": {"matchLabels": {NAMESPACE: namespace}},
            "podSelector": {"matchLabels": dict(labels)},
        }

    ports = [_port("tcp"), _port("udp")]
    rule = {"from": [of(there.name, {"role": "friend"})], "ports": ports}
    here.create("networkpolicies", objects.policy("one-port", "server", ingress=[rule]))
    out = {"to": [of(here.name, {objects.APP: "server"})], "ports": [*ports, _port("http")]}
    there.create("networkpolicies", objects.policy("to-server", egress=[out]))
    there.create("networkpolicies", objects.policy("dns", egress=[DNS]))


def _where(one: Post, other: Post) -> str:
    return f" ({'on one node' if one.node == other.node else f'{one.node} to {other.node}'})"


def two_nodes(inventory: Reader, findings: Findings) -> tuple[str, str]:
    """Two nodes that pods are scheduled on, workers first; the check is not assessed where there is only one."""
    nodes = [Node(raw) for raw in inventory.objects("nodes")]
    ready, _ = usable([one.raw for one in nodes])
    tainted = {one.short_name for one in nodes if any(taint["effect"] != "PreferNoSchedule" for taint in one.taints)}
    free = [name for name in ready if name not in tainted]
    if len(free) < 2:
        findings.not_assessed(f"needs two nodes without taints, and {len(free)} is Ready")
    return free[0], free[1]


def place_pods(place: Place, nodes: Mapping[str, str], role: Any = None) -> None:
    """Create a serving probe for each name, on its node ("" for any), with the label `role` that a function of its name gives."""
    for name, node in nodes.items():
        labels = {"role": role(name)} if role else {}
        place.create("pods", objects.pod(name, place.spec("serve", node=node), labels))


def _placed(place: Place, nodes: Mapping[str, str]) -> list[Post]:
    place_pods(place, nodes)
    return posts(place, *nodes)


def judge(findings: Findings, wanted: Mapping[Flow, bool], limit: float, stage: str) -> bool:
    """Expect every flow as wanted within `limit` seconds, each by name; whether all were."""
    outcome = await_flows(wanted, limit)
    if not outcome.wrong:
        findings.measure(f"{stage}: in effect after", outcome.seconds, "s", limit)
    for one, open_ in wanted.items():
        findings.expect(
            one not in outcome.wrong,
            one,
            expected=f"{ALLOWED if open_ else DENIED} within {limit:g} s ({stage})",
            observed=f"{'blocked' if open_ else 'open'}: {outcome.wrong.get(one, '')}".removesuffix(": ok"),
            look="kubectl get networkpolicies -A -o yaml",
        )
    return not outcome.wrong
