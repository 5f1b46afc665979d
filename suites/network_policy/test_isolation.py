"""Namespaces and workloads are isolated in both directions."""

from __future__ import annotations

from collections.abc import Mapping

from fixtures.network_policies import DIRECTIONS, WORLD_READS, Direction, Side, world
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace, Reader, Workload

LOOK = "kubectl get networkpolicies -n {} -o yaml"


def _judge(findings: Findings, sides: Mapping[Direction, Side], namespace: str, expected: str) -> None:
    for direction, side in sides.items():
        if not side.undecided:
            findings.expect(side.closed, direction, expected=expected, observed=side, look=LOOK.format(namespace))
    undecided = [side.undecided for side in sides.values() if side.undecided]
    if undecided:
        findings.not_assessed("; ".join(undecided))


@readiness("network-policy.default-deny", severity="critical", reads=WORLD_READS)
def test_namespaces_deny_by_default(namespace: Namespace, findings: Findings, inventory: Reader) -> None:
    """Every namespace denies ingress and egress by default.

    Why: Without it every new pod talks to every other, to the nodes and to the internet, and so does whoever breaks in.
    How: For each direction some policy isolates all pods of the namespace, those to come included: a NetworkPolicy with
    an empty podSelector (two policies of one direction each count together; rules for DNS in the same policy do no
    harm), a Cilium, Calico or baseline admin policy that selects them all. A rule for all pods that lets everything
    through (`{}`, or 0.0.0.0/0, or both its halves, without ports) undoes it, wherever it stands.
    Fix: Apply a NetworkPolicy with podSelector: {} and policyTypes: [Ingress, Egress], then allow DNS and the flows
    that are needed; remove the rules that let everything through.
    Does not prove: That the network plugin enforces the policies (see network-policy.cni-plugin), or the mode of
    Cilium's agent: enable-policy=always is in a ConfigMap, whose values are never read.
    """
    here = inventory.derive(world)
    sides = {direction: here.default(namespace.short_name, direction) for direction in DIRECTIONS}
    _judge(
        findings,
        sides,
        namespace.short_name,
        "a policy for all pods isolates them, and no rule lets everything through",
    )


@readiness("network-policy.no-open-default", severity="critical", reads=WORLD_READS)
def test_workloads_are_isolated_in_both_directions(workload: Workload, findings: Findings, inventory: Reader) -> None:
    """Every workload is isolated for ingress and egress.

    Why: A pod that no policy isolates in a direction is open in it: Kubernetes allows what nothing forbids.
    How: The policies that select the workload's pods, of every engine, taken together for each direction; a policy
    without policyTypes isolates ingress, and egress only if it has egress rules. A rule that lets every peer through on
    every port leaves the direction open.
    Fix: Add default-deny policies to the namespace, and name peers and ports in the rules that let everything through.
    Does not prove: That the network plugin enforces the policies, nor that the rules that remain are narrow.
    """
    here = inventory.derive(world)
    endpoint = here.endpoint(workload)
    if endpoint.host_network:
        findings.not_applicable("the pods use the network of their nodes, which pod policies do not reach")
    sides = {direction: here.side(endpoint, direction) for direction in DIRECTIONS}
    _judge(findings, sides, workload.namespace, "some policy isolates the pods, and no rule lets everything through")


@readiness("network-policy.policies-present", severity="high", reads=WORLD_READS)
def test_namespaces_have_policies(namespace: Namespace, findings: Findings, inventory: Reader) -> None:
    """Every namespace has a network policy that selects its pods.

    Why: A namespace without one takes part in the flat network of the cluster.
    How: A policy of any engine counts if it selects all pods of the namespace or at least those of one workload;
    a policy that selects nothing protects nothing.
    Fix: Add a default-deny NetworkPolicy to the namespace, and rules for the flows that are needed.
    Does not prove: That every workload is covered (network-policy.no-open-default), nor that policies are enforced.
    """
    here = inventory.derive(world)
    reached = [endpoint for endpoint in map(here.endpoint, namespace.workloads) if not endpoint.host_network]
    if not reached:
        findings.not_applicable("all pods use the network of their nodes, which pod policies do not reach")
    found: set[str] = set()
    undecided: set[str] = set()
    for endpoint in reached:
        names, unknown = here.selecting(endpoint)
        found.update(names)
        undecided.update(unknown)
    if undecided and not found:
        findings.not_assessed("; ".join(sorted(undecided)))
    look = LOOK.format(namespace.short_name)
    findings.expect(bool(found), namespace, expected="a policy that selects pods", observed=sorted(found), look=look)
