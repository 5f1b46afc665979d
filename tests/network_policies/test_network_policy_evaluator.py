"""The evaluator of NetworkPolicy agrees with one that follows the API reference connection by connection."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.network_policies import EVERYTHING, NOTHING, Endpoint, Policies, Ports, network

Raw = dict[str, Any]

PORTS = (1, 79, 80, 81, 443, 8080, 65535)
PROTOCOLS = ("TCP", "UDP", "SCTP")
KEYS, VALUES = ("app", "tier"), ("a", "b")
NAMESPACES = ("one", "two")

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
expressions = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(("In", "NotIn")),
            "values": st.lists(st.sampled_from(VALUES), min_size=1),
        }
    ),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "operator": st.sampled_from(("Exists", "DoesNotExist"))}),
)
# Most selectors select much, or no connection would ever get past both ends and the evaluators would agree on nothing.
selectors: st.SearchStrategy[Raw] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"matchLabels": st.just({"app": "a"})}),
    st.fixed_dictionaries({}, optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)}),
)
addresses = st.sampled_from(("10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.7.1"))
blocks = st.fixed_dictionaries(
    {"cidr": st.sampled_from(("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/23", "10.0.0.1/32", "192.168.0.0/16", "::/0"))},
    optional={"except": st.lists(st.sampled_from(("10.0.0.0/24", "10.0.1.0/24", "10.0.0.2/32")), max_size=2)},
)
peers = st.one_of(
    st.fixed_dictionaries({"ipBlock": blocks}),
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}),
    st.fixed_dictionaries({"podSelector": selectors, "namespaceSelector": selectors}),
)
port_entries = st.one_of(
    st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(PROTOCOLS)}),
    st.fixed_dictionaries(
        {"port": st.sampled_from(PORTS)},
        optional={"protocol": st.sampled_from(PROTOCOLS), "endPort": st.just(65535)},
    ),
    st.fixed_dictionaries({"port": st.sampled_from(("web", "dns"))}, optional={"protocol": st.sampled_from(PROTOCOLS)}),
)


def rules(peer_field: str) -> Any:
    listed = {peer_field: st.lists(peers, max_size=2), "ports": st.lists(port_entries, max_size=2)}
    return st.lists(st.fixed_dictionaries({}, optional=listed), max_size=2)


types = st.sampled_from((None, [], ["Ingress"], ["Egress"], ["Ingress", "Egress"]))


def policies(peer_field: str, direction: str) -> Any:
    """Policies of namespace one, mostly, with rules of one direction and perhaps of the other."""
    other = {"ingress": ("egress", rules("to")), "egress": ("ingress", rules("from"))}[direction]
    spec = st.fixed_dictionaries(
        {direction: rules(peer_field)}, optional={"podSelector": selectors, "policyTypes": types, other[0]: other[1]}
    )
    metadata = st.fixed_dictionaries({"name": st.just("p"), "namespace": st.sampled_from(("one", "one", "two"))})
    return st.fixed_dictionaries({"metadata": metadata, "spec": spec})


several = st.tuples(
    st.lists(policies("from", "ingress"), min_size=1, max_size=2),
    st.lists(policies("to", "egress"), max_size=2),
).map(lambda both: both[0] + both[1])
pods = st.fixed_dictionaries(
    {
        "namespace": st.sampled_from(("one", "one", "two")),
        "labels": labels,
        "ip": addresses,
        "named": st.dictionaries(
            st.tuples(st.sampled_from(("web", "dns")), st.sampled_from(PROTOCOLS)),
            st.lists(st.sampled_from(PORTS), min_size=1, max_size=2).map(tuple),
        ),
        "host_network": st.sampled_from((False, False, False, True)),
    }
)
SPACES = {"one": {"app": "a"}, "two": {"tier": "b", "app": "b"}}


@given(several, pods, pods)
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
def test_flow_agrees_with_the_reference(raws: list[Raw], source: Raw, target: Raw) -> None:
    flow = Policies(raws).flow(endpoint(source), endpoint(target))

    for protocol in PROTOCOLS:
        for port in (*PORTS, 2, 100):
            expected = reference(raws, source, target, protocol, port)
            assert ((protocol, port) in flow) == expected, (protocol, port)
    assert flow.other == reference(raws, source, target, "ICMP", None)


@given(several, pods, addresses)
@settings(max_examples=200)
def test_egress_to_an_address_agrees_with_the_reference(raws: list[Raw], source: Raw, address: str) -> None:
    allowed = Policies(raws).allowed(endpoint(source), "egress", network(f"{address}/32"))

    for protocol in PROTOCOLS:
        for port in PORTS:
            expected = one_side(raws, source, {"ip": address}, "egress", protocol, port, {})
            assert ((protocol, port) in allowed) == expected, (protocol, port)


def endpoint(pod: Raw) -> Endpoint:
    return Endpoint(
        namespace=pod["namespace"],
        labels=pod["labels"],
        namespace_labels=SPACES[pod["namespace"]],
        networks=(network(f"{pod['ip']}/32"),),
        named_ports=pod["named"],
        host_network=pod["host_network"],
    )


def reference(raws: list[Raw], source: Raw, target: Raw, protocol: str, port: int | None) -> bool:
    return one_side(raws, target, source, "ingress", protocol, port, target["named"]) and one_side(
        raws, source, target, "egress", protocol, port, target["named"]
    )


def one_side(
    raws: list[Raw], pod: Raw, other: Raw, direction: str, protocol: str, port: int | None, named: Raw
) -> bool:
    isolated = False
    for raw in raws:
        spec = raw["spec"]
        types = spec.get("policyTypes") or ["Ingress"] + (["Egress"] if spec.get("egress") else [])
        selected = (
            raw["metadata"]["namespace"] == pod["namespace"]
            and not pod["host_network"]
            and selected_by(spec.get("podSelector", {}), pod["labels"])
        )
        if not selected or direction.capitalize() not in types:
            continue
        isolated = True
        for rule in spec.get(direction, []):
            who = rule.get("from" if direction == "ingress" else "to", [])
            what = rule.get("ports", [])
            if who and not any(is_peer(peer, other, raw["metadata"]["namespace"]) for peer in who):
                continue
            if not what or any(is_port(entry, protocol, port, named) for entry in what):
                return True
    return not isolated


def selected_by(selector: Raw, have: Raw) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if have.get(key) != value:
            return False
    for one in selector.get("matchExpressions", []):
        value = have.get(one["key"])
        holds = {
            "In": value in one.get("values", []),
            "NotIn": value not in one.get("values", []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[one["operator"]]
        if not holds:
            return False
    return True


def is_peer(peer: Raw, other: Raw, namespace: str) -> bool:
    if "ipBlock" in peer:
        address = ipaddress.ip_address(other["ip"])
        block = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        holes = [ipaddress.ip_network(one) for one in peer["ipBlock"].get("except", [])]
        return address in block and not any(address in hole for hole in holes)
    if "namespace" not in other or other["host_network"]:
        return False
    if "namespaceSelector" in peer:
        if not selected_by(peer["namespaceSelector"], SPACES[other["namespace"]]):
            return False
    elif other["namespace"] != namespace:
        return False
    return selected_by(peer.get("podSelector", {}), other["labels"])


def is_port(entry: Raw, protocol: str, port: int | None, named: Any) -> bool:
    if port is None or entry.get("protocol", "TCP") != protocol:
        return False
    wanted = entry.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return bool(port in named.get((wanted, protocol), ()))
    return bool(wanted <= port <= (entry.get("endPort") or wanted))


EVERY = [79, 80, 81, 8080]
NOWHERE = {"policyTypes": ["Ingress", "Egress"]}
WEB = {
    "namespace": "one",
    "labels": {"app": "a"},
    "ip": "10.0.0.1",
    "named": {("web", "TCP"): (8080,)},
    "host_network": False,
}
CLIENT = {
    "namespace": "one",
    "labels": {"tier": "b"},
    "ip": "10.0.0.2",
    "named": {("web", "TCP"): (81,)},
    "host_network": False,
}


@pytest.mark.parametrize(
    ("spec", "source", "target", "allowed"),
    [
        pytest.param({}, CLIENT, WEB, [], id="no policyTypes and no rules: ingress is denied"),
        pytest.param({}, WEB, {**CLIENT, "namespace": "two"}, EVERY, id="no policyTypes: egress stays open"),
        pytest.param({"egress": [{}]}, CLIENT, WEB, [], id="an egress rule does not lift the default for ingress"),
        pytest.param(
            NOWHERE, CLIENT, {**WEB, "host_network": True}, [], id="hostNetwork: only the other end is isolated"
        ),
        pytest.param({"policyTypes": ["Ingress"]}, CLIENT, {**WEB, "host_network": True}, EVERY, id="hostNetwork"),
        pytest.param(
            {"ingress": [{"from": [{"podSelector": {}}]}]}, {**CLIENT, "namespace": "two"}, WEB, [], id="own namespace"
        ),
        pytest.param(
            {"ingress": [{"from": [{"podSelector": {}}]}]},
            {**CLIENT, "host_network": True},
            WEB,
            [],
            id="a node is no pod",
        ),
        pytest.param(
            {"ingress": [{"from": [{"namespaceSelector": {}}]}]},
            {**CLIENT, "namespace": "two"},
            WEB,
            EVERY,
            id="all namespaces",
        ),
        pytest.param({"ingress": [{"from": []}]}, CLIENT, WEB, EVERY, id="an empty from is everybody"),
        pytest.param(
            {"ingress": [{"ports": [{"port": "web"}]}]}, CLIENT, WEB, [8080], id="a name is the target's, ingress"
        ),
        pytest.param(
            {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": "web"}]}]},
            CLIENT,
            WEB,
            [8080],
            id="a name is the target's, egress",
        ),
        pytest.param({"ingress": [{"ports": [{"port": 79, "endPort": 81}]}]}, CLIENT, WEB, [79, 80, 81], id="endPort"),
        pytest.param({"ingress": [{"ports": [{"protocol": "UDP"}]}]}, CLIENT, WEB, [], id="all of another protocol"),
        pytest.param(
            {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24"]}}]}]},
            CLIENT,
            WEB,
            [],
            id="except",
        ),
    ],
)
def test_connection(spec: Raw, source: Raw, target: Raw, allowed: list[int]) -> None:
    flow = Policies([{"metadata": {"name": "p", "namespace": "one"}, "spec": spec}]).flow(
        endpoint(source), endpoint(target)
    )

    assert [port for port in EVERY if ("TCP", port) in flow] == allowed


ranges = st.lists(st.tuples(st.sampled_from(PROTOCOLS), st.integers(1, 12), st.integers(1, 12)), max_size=4)


@given(ranges, ranges)
def test_sets_of_ports_obey_set_algebra(one: list[Any], two: list[Any]) -> None:
    left, right = united(one), united(two)
    plain_left, plain_right = plain(one), plain(two)

    assert members(left | right) == plain_left | plain_right
    assert members(left & right) == plain_left & plain_right
    assert left.within(right) == (plain_left <= plain_right)
    assert bool(left) == bool(plain_left)


def united(entries: list[Any]) -> Ports:
    found = NOTHING
    for protocol, low, high in entries:
        found |= Ports.of(protocol, low, high)
    return found


def plain(entries: list[Any]) -> set[tuple[str, int]]:
    return {(protocol, port) for protocol, low, high in entries for port in range(low, high + 1)}


def members(ports: Ports) -> set[tuple[str, int]]:
    return {(protocol, port) for protocol in PROTOCOLS for port in range(1, 13) if (protocol, port) in ports}


@pytest.mark.parametrize(
    ("spec", "opens"),
    [
        ({"ingress": [{}]}, True),
        ({"ingress": [{"from": [], "ports": []}]}, True),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}, True),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}}]}]}, True),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}]}, False),
        ({"ingress": [{"ports": [{"port": 443}]}]}, False),
        ({"ingress": [{"from": [{"namespaceSelector": {}}]}]}, False),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, False),
    ],
)
def test_a_rule_opens_everything(spec: Raw, opens: bool) -> None:
    [policy] = Policies([{"metadata": {"name": "p", "namespace": "one"}, "spec": {"podSelector": {}, **spec}}]).all

    assert bool(policy.opening("ingress")) == opens


def test_leading_zeros_are_read_as_the_api_server_did() -> None:
    assert network("010.001.0.0/16") == network("10.1.0.0/16")


def test_ports_are_named_in_findings() -> None:
    assert str(EVERYTHING) == "every port"
    assert str(NOTHING) == "no port"
    assert str(Ports.of("TCP", 80, 80) | Ports.of("UDP", 53, 54)) == "TCP 80, UDP 53-54"
