"""Where a policy's rule leads, held against what the policy file declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fixtures.network_policies import EVERYTHING, NOTHING, Network, Ports, World, network
from fixtures.network_policies.kubernetes import Peer, Rule
from fixtures.selectors import matches

DNS_PORT = 53
DNS = Ports.of("UDP", DNS_PORT, DNS_PORT) | Ports.of("TCP", DNS_PORT, DNS_PORT)


@dataclass(frozen=True, slots=True)
class Destination:
    """A declared place with its ports: the namespace called `place`, or the addresses of a CIDR."""

    place: str
    ports: Ports = EVERYTHING

    @classmethod
    def parse(cls, text: str) -> Destination:
        """From "monitoring", "monitoring 4317/TCP" or "10.0.0.1/32 443/TCP" (TCP where no protocol stands)."""
        place, _, ports = text.partition(" ")
        if not ports:
            return cls(place)
        number, _, protocol = ports.strip().partition("/")
        return cls(place, Ports.of(protocol or "TCP", int(number), int(number)))

    def admits(self, peer: Peer, where: frozenset[str], ports: Ports) -> bool:
        """Whether a rule's peer, whose pods live in the namespaces `where`, stays inside on these ports."""
        if not ports.within(self.ports):
            return False
        if peer.block is None:
            return where == {self.place}
        return "/" in self.place and _inside(peer.block, network(self.place))


def is_dns(peer: Peer, ports: Ports) -> bool:
    """Whether a rule's peer is asked for names only: port 53 of pods, or of one address."""
    single = peer.block is None or peer.block.prefixlen == peer.block.max_prefixlen
    return single and ports.within(DNS)


def places(peer: Peer, here: World) -> frozenset[str]:
    """The namespaces that a peer by labels reaches: its policy's own unless it has a namespaceSelector."""
    selector = peer.raw.get("namespaceSelector")
    if selector is None:
        return frozenset({peer.namespace}) if peer.block is None else frozenset()
    return frozenset(name for name, labels in here.namespaces.items() if matches(selector, labels))


def ports_towards(rule: Rule, peer: Peer, here: World) -> Ports:
    """The ports that an egress rule opens towards a peer; names are resolved by the pods that the peer reaches."""
    found = rule.ports(network("0.0.0.0/32"))
    if all(not isinstance(entry.get("port"), str) for entry in rule.ports_listed):
        return found
    for endpoint in here.endpoints.values():
        found |= rule.ports(endpoint) if peer.admits(endpoint) else NOTHING
    return found


def widest(peers: Iterable[str], namespaces: Mapping[str, object]) -> str:
    """The names of namespaces for a finding, cut where they are all or too many to read."""
    names = sorted(peers)
    if len(names) == len(namespaces):
        return "every namespace"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "no existing namespace"


def _inside(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.overlaps(outer) and inner.prefixlen >= outer.prefixlen
