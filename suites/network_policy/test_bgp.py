"""Routes that the cluster announces to its surroundings."""

from __future__ import annotations

import ipaddress
from collections import defaultdict

from fixtures import limits
from fixtures.bgp import READS, bgp
from fixtures.network_policies import network
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster


@readiness("network-policy.bgp-routing", severity="medium", reads=READS)
def test_bgp_sessions_are_up_and_authenticated(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Every declared BGP session is established and authenticated.

    Why: A node without a second peer loses its routes with one router; a session without a password can be taken over,
    and a prefix that nobody meant to announce draws somebody else's traffic.
    How: Peers that Cilium's CiliumBGPClusterConfig, Calico's BGPPeer and MetalLB's BGPPeer give to each selected node:
    two for each node, each with a password or secret, and Established in CiliumBGPNodeConfig, CalicoNodeStatus or
    BGPSessionState. The address pools lie inside subjects.bgp_prefixes.
    Fix: Repair the address, ASN, TTL or password of the sessions listed, and add a second peer.
    Does not prove: What routers accept or pass on, nor BGP that runs on hosts outside of the cluster's sight.
    """
    found = inventory.derive(bgp)
    if not found.sources:
        findings.not_applicable("no object of Cilium, Calico or MetalLB declares a BGP peer")
    peers: dict[str, set[str]] = defaultdict(set)
    for session in found.sessions:
        peers[session.node].add(session.peer)
        place = f"{session.source} {session.peer} on {session.node}"
        findings.expect(session.authenticated, place, expected="a password", observed="none")
        if session.state:
            findings.expect(session.established, place, expected="Established", observed=session.state)
    wanted = int(policy.limit(limits.BGP_PEERS))
    for node, addresses in sorted(peers.items()):
        findings.expect(
            len(addresses) >= wanted, f"Node {node}", expected=f"{wanted} peers", observed=sorted(addresses)
        )
    if policy.subjects.bgp_prefixes:
        _judge_prefixes(findings, found.prefixes, policy.subjects.bgp_prefixes)
    if found.unclear:
        findings.not_assessed(found.unclear)
    silent = sorted({f"{one.peer} on {one.node}" for one in found.sessions if not one.state})
    if silent or not found.sessions:
        findings.not_assessed(f"no status is published for {', '.join(silent) or 'any session'}")
    if found.prefixes and not policy.subjects.bgp_prefixes:
        findings.not_assessed("subjects.bgp_prefixes of the policy file does not say which prefixes are intended")


def _judge_prefixes(findings: Findings, prefixes: tuple[tuple[str, str], ...], allowed: tuple[str, ...]) -> None:
    bounds = [network(one) for one in allowed]
    for place, text in prefixes:
        parts = _networks(text)
        inside = all(
            any(
                part.version == bound.version and part.overlaps(bound) and part.prefixlen >= bound.prefixlen
                for bound in bounds
            )
            for part in parts
        )
        findings.expect(inside, place, expected=f"inside {', '.join(allowed)}", observed=text)


def _networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    first, _, last = (part.strip() for part in text.partition("-"))
    if not last:
        return [network(first)]
    low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if isinstance(low, ipaddress.IPv4Address) and isinstance(high, ipaddress.IPv4Address):
        return list(ipaddress.summarize_address_range(low, high))
    if isinstance(low, ipaddress.IPv6Address) and isinstance(high, ipaddress.IPv6Address):
        return list(ipaddress.summarize_address_range(low, high))
    raise ValueError(f"{text!r} is not a range of addresses of one family")
