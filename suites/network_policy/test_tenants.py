"""Tenants are apart: the policies of both ends, read as a whole, leave no path between them."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fixtures.network_policies import CAPSULE_LABEL, WORLD_READS, Direction, Endpoint, Ports, World, world
from fixtures.network_policies.kubernetes import Peer
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster
from suites.network_policy.destinations import places


@dataclass(frozen=True)
class Reach:
    """Who may open connections to whom, as sets of numbers of endpoints; `endpoints` gives them their numbers."""

    endpoints: tuple[Endpoint, ...]
    into: tuple[frozenset[int], ...]
    out_of: tuple[frozenset[int], ...]


class _Lookup:
    """Finds the endpoints that a peer describes; equal peers are looked up once, and only where they can be."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.endpoints = tuple(here.endpoints.values())
        self.everyone = frozenset(range(len(self.endpoints)))
        self._places: dict[str, list[int]] = defaultdict(list)
        for number, endpoint in enumerate(self.endpoints):
            self._places[endpoint.namespace].append(number)
        self._known: dict[tuple[str, str], frozenset[int]] = {}

    def admitted(self, endpoint: Endpoint, direction: Direction) -> frozenset[int]:
        """The numbers of the endpoints that an endpoint's own side admits on some port."""
        isolating = self.here.policies.isolating(endpoint, direction)
        if not isolating:
            return frozenset() if self.here.side(endpoint, direction).isolating else self.everyone
        found: set[int] = set()
        for policy in isolating:
            for rule in policy.rules(direction):
                if rule.peers is None:
                    return self.everyone
                for peer in rule.peers:
                    found |= self._described(peer)
        return frozenset(found)

    def _described(self, peer: Peer) -> frozenset[int]:
        key = (peer.namespace, repr(peer.raw))
        if key not in self._known:
            near = self.everyone
            if peer.block is None:
                near = frozenset(number for name in places(peer, self.here) for number in self._places[name])
            self._known[key] = frozenset(number for number in near if peer.admits(self.endpoints[number]))
        return self._known[key]


def reach(reader: Reader) -> Reach:
    """For each endpoint the others that its own ingress and egress rules admit, on whatever port."""
    lookup = _Lookup(reader.derive(world))
    return Reach(
        lookup.endpoints,
        tuple(lookup.admitted(endpoint, "ingress") for endpoint in lookup.endpoints),
        tuple(lookup.admitted(endpoint, "egress") for endpoint in lookup.endpoints),
    )


@readiness("network-policy.tenant-segmentation", severity="critical", reads=WORLD_READS)
def test_tenants_cannot_reach_each_other(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """No workload can reach another tenant's, except by declared flows.

    Why: One tenant's break-in must not become another's, and policies that look right one by one may leave a path.
    How: Tenants are the namespaces grouped by the label that subjects.tenant_label names (or Capsule's). For each pair
    the egress rules of the one and the ingress rules of the other are evaluated together, ports and ipBlocks included;
    what remains has to stand in subjects.tenant_flows. One path is shown for each pair of tenants.
    Fix: Narrow the policies of both ends to the tenant's own namespaces with a namespaceSelector on the tenant's label.
    Does not prove: That policies are enforced; that pods with hostNetwork, which no policy reaches, keep to themselves;
    the allow rules of Cilium, Calico and admin policies, with which the property is not assessed.
    """
    here = inventory.derive(world)
    tenants = _tenants(here, policy)
    names = sorted(set(tenants.values()))
    if len(names) < 2:  # one tenant has nobody to be kept from
        findings.not_applicable(f"{len(names)} tenants by the label {_label(here, policy) or 'subjects.tenant_label'}")
    unclear = sorted({one.name for one in here.others if one.grants})
    if unclear:
        findings.not_assessed(f"allow rules that are not evaluated: {', '.join(unclear)}")
    paths = _paths(inventory.derive(reach), here, tenants, policy)
    denying = sorted({one.name for one in here.others if one.denies})
    if paths and denying:
        findings.not_assessed(f"deny rules that are not evaluated may close a path: {', '.join(denying)}")
    for source in names:
        for target in names:
            if source != target:
                expected = "no path, or one that subjects.tenant_flows declares"
                findings.expect(
                    (source, target) not in paths,
                    f"{source} to {target}",
                    expected=expected,
                    observed=paths.get((source, target)),
                    look="kubectl get networkpolicies -A -o yaml",
                )


def _label(here: World, policy: Policy) -> str:
    if policy.subjects.tenant_label:
        return policy.subjects.tenant_label
    return CAPSULE_LABEL if any(CAPSULE_LABEL in labels for labels in here.namespaces.values()) else ""


def _tenants(here: World, policy: Policy) -> dict[str, str]:
    label = _label(here, policy)
    return {name: labels[label] for name, labels in here.namespaces.items() if label in labels and policy.judges(name)}


def _paths(reached: Reach, here: World, tenants: Mapping[str, str], policy: Policy) -> dict[tuple[str, str], str]:
    """The first undeclared path of each ordered pair of tenants, as a finding shows it."""
    members: dict[str, list[int]] = defaultdict(list)
    for number, endpoint in enumerate(reached.endpoints):
        if endpoint.namespace in tenants and not endpoint.host_network:
            members[tenants[endpoint.namespace]].append(number)
    paths: dict[tuple[str, str], str] = {}
    for source in sorted(members):
        for target in sorted(members):
            if source != target and not _declared(source, target, policy):
                path = next(_between(reached, here, members[source], members[target]), "")
                if path:
                    paths[(source, target)] = path
    return paths


def _between(reached: Reach, here: World, sources: list[int], targets: list[int]) -> Iterator[str]:
    inside = frozenset(sources)
    for target in targets:
        for source in sorted(reached.into[target] & inside):
            if target not in reached.out_of[source]:
                continue
            one, other = reached.endpoints[source], reached.endpoints[target]
            ports = here.policies.flow(one, other)
            if ports:
                yield f"{one.name} to {other.name} on {ports}; {_allowing(here, one, other, ports)}"


def _allowing(here: World, source: Endpoint, target: Endpoint, ports: Ports) -> str:
    sides: tuple[tuple[Direction, Endpoint, Endpoint], ...] = (("egress", source, target), ("ingress", target, source))
    said = []
    for direction, endpoint, peer in sides:
        isolating = here.policies.isolating(endpoint, direction)
        allowing = [
            f"{one.name} {rule.path}"
            for one in isolating
            for rule in one.rules(direction)
            if rule.admits(peer) and rule.ports(target) & ports
        ]
        said.append(f"{direction}: {', '.join(allowing) if isolating else 'isolated by no policy'}")
    return "; ".join(said)


def _declared(source: str, target: str, policy: Policy) -> bool:
    return any(
        fnmatch.fnmatchcase(source, one) and fnmatch.fnmatchcase(target, other)
        for one, other in policy.subjects.tenant_flows
    )
