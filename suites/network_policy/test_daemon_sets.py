"""What the node agents under assessment expose, and whom they may talk to."""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.network_policies import WORLD_READS, Direction, Endpoint, Ports, World, world
from fixtures.network_policies.kubernetes import Rule
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, Workload
from suites.network_policy.destinations import Destination, is_dns, places, ports_towards, widest

HOST_NETWORK = "the pods use the network of their nodes, which pod policies do not reach"
LOOK = "kubectl get networkpolicies -n {} -o yaml"


@readiness("network-policy.subject-policy-present", severity="high", reads=WORLD_READS)
def test_daemon_sets_are_selected_by_a_policy(daemon_set: Workload, findings: Findings, inventory: Reader) -> None:
    """Every DaemonSet under assessment is selected by a network policy.

    Why: An agent runs on every node; without a policy every pod of the cluster reaches it on every node.
    How: NetworkPolicies of the namespace, Cilium's, Calico's and the cluster-wide policies against the pods' labels.
    Fix: Add a NetworkPolicy whose podSelector matches the labels of the DaemonSet's template.
    Does not prove: That the policy is narrow (network-policy.subject-ingress-policy and -egress-policy) or enforced.
    """
    here = inventory.derive(world)
    endpoint = here.endpoint(daemon_set)
    if endpoint.host_network:
        findings.not_applicable(HOST_NETWORK)
    names, undecided = here.selecting(endpoint)
    if undecided and not names:
        findings.not_assessed("; ".join(undecided))
    look = LOOK.format(daemon_set.namespace)
    findings.expect(bool(names), daemon_set, expected="a policy that selects the pods", observed=names, look=look)


@readiness("network-policy.subject-ingress-policy", severity="high", reads=WORLD_READS)
def test_only_scrapers_reach_daemon_sets(
    daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Only the scrapers of its metrics may open connections to a DaemonSet.

    Why: Whatever else may connect to an agent on every node is a way from one node to all of them.
    How: All ingress rules of the NetworkPolicies that select the pods: peers inside the namespace that
    subjects.daemon_sets.metrics_namespace names (monitoring), ports within metrics_port (9102/TCP).
    Fix: A NetworkPolicy with policyTypes: [Ingress], from: the monitoring namespace, and ports: the metrics port only.
    Does not prove: That the policy is enforced; and the node itself (kubelet probes) always reaches its pods.
    """
    here = inventory.derive(world)
    subject = policy.subjects.daemon_sets
    scrapers = Destination(subject.metrics_namespace, Ports.of("TCP", subject.metrics_port, subject.metrics_port))
    _expect_narrow(findings, here, here.endpoint(daemon_set), "ingress", [scrapers])


@readiness("network-policy.subject-egress-policy", severity="high", reads=WORLD_READS)
def test_daemon_sets_call_only_what_they_need(
    daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """A DaemonSet may call DNS and its declared destinations only.

    Why: An agent that may call anything carries out whatever it reads on its node.
    How: All egress rules of the NetworkPolicies that select the pods: DNS (port 53) to listed peers, else peers and
    ports within subjects.daemon_sets.destinations ("monitoring 4317/TCP", "10.0.0.1/32 443/TCP").
    Fix: A NetworkPolicy with policyTypes: [Egress] and rules for DNS and the needed destinations only.
    Does not prove: That the policy is enforced, nor what a resolver passes on to the outside.
    """
    here = inventory.derive(world)
    allowed = [Destination.parse(text) for text in policy.subjects.daemon_sets.destinations]
    _expect_narrow(findings, here, here.endpoint(daemon_set), "egress", allowed)


def _expect_narrow(
    findings: Findings, here: World, endpoint: Endpoint, direction: Direction, allowed: Sequence[Destination]
) -> None:
    if endpoint.host_network:
        findings.not_applicable(HOST_NETWORK)
    side = here.side(endpoint, direction)
    if side.undecided:
        findings.not_assessed(side.undecided)
    granting = here.granting(endpoint)
    if granting:
        findings.not_assessed(f"only NetworkPolicies are evaluated rule by rule, not {', '.join(granting)}")
    look = LOOK.format(endpoint.namespace)
    findings.expect(bool(side.isolating), direction, expected="isolated by a policy", observed=side, look=look)
    for policy in here.policies.isolating(endpoint, direction):
        for rule in policy.rules(direction):
            reason = _beyond(rule, endpoint, here, allowed)
            place = f"{policy.name} {rule.path}"
            findings.expect(not reason, place, expected="declared peers and ports only", observed=reason, look=look)


def _beyond(rule: Rule, endpoint: Endpoint, here: World, allowed: Sequence[Destination]) -> str:
    if rule.peers is None:
        return "every peer"
    for peer in rule.peers:
        where = places(peer, here)
        ports = rule.ports(endpoint) if rule.direction == "ingress" else ports_towards(rule, peer, here)
        if rule.direction == "egress" and is_dns(peer, ports):
            continue
        if not any(one.admits(peer, where, ports) for one in allowed):
            return f"{peer.block or widest(where, here.namespaces)} on {ports}"
    return ""
