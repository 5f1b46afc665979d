"""Each NetworkPolicy means what it says: it selects something, its port names exist, its peers are workloads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from fixtures.network_policies import DIRECTIONS, WORLD_READS, Endpoint, NetworkPolicy, world
from fixtures.network_policies.kubernetes import Peer, Rule
from fixtures.readiness import Findings, readiness
from fixtures.selectors import matches
from fixtures.subjects import NetworkPolicySubject, Reader, Workload, all_workloads


def workloads_by_namespace(reader: Reader) -> Mapping[str, list[Workload]]:
    """Every workload by its namespace."""
    found: dict[str, list[Workload]] = defaultdict(list)
    for workload in reader.derive(all_workloads):
        found[workload.namespace].append(workload)
    return found


def port_names(reader: Reader) -> frozenset[tuple[str, str]]:
    """The name and protocol of every named port of every workload."""
    return frozenset(key for endpoint in reader.derive(world).endpoints.values() for key in endpoint.named_ports)


@readiness("network-policy.policies-resolved", severity="medium", reads=WORLD_READS)
def test_policies_select_pods_and_name_ports_that_exist(
    network_policy: NetworkPolicySubject, findings: Findings, inventory: Reader
) -> None:
    """Every NetworkPolicy selects pods, and the ports that it names exist.

    Why: A selector with a slip of the pen selects nothing, and a port's name that no container has allows nothing, both
    without any error: the policy is in the list and does not work.
    How: podSelector against the labels of the workloads' templates and live pods; an empty one is the namespace's
    default. Pods with hostNetwork are out of reach. The names of ports against the container ports of the selected pods
    (ingress) or of any workload (egress).
    Fix: Correct the selector or the port's name, or delete the policy.
    Does not prove: That peers exist: a policy may well name a namespace that another cluster or a later release has.
    """
    policy = NetworkPolicy(network_policy.raw)
    near = inventory.derive(workloads_by_namespace).get(policy.namespace, [])
    selected = [workload for workload in near if _selected(policy, workload)]
    reached = [workload for workload in selected if not workload.pod_spec.get("hostNetwork")]
    if not policy.whole_namespace:
        observed = "only pods that use their node's network" if selected else policy.selector
        findings.expect(bool(reached), "spec.podSelector", expected="a selector of existing pods", observed=observed)
    here = inventory.derive(world)
    own = frozenset(key for workload in reached for key in here.endpoint(workload).named_ports)
    for direction in DIRECTIONS:
        known = own if direction == "ingress" else inventory.derive(port_names)
        for rule in policy.rules(direction):
            _expect_port_names(findings, rule, known, reachable=bool(reached))
    if policy.whole_namespace and not findings.examined:
        findings.expect(True, "spec.podSelector", expected="the namespace's default", observed=policy.selector)


def _selected(policy: NetworkPolicy, workload: Workload) -> bool:
    if policy.whole_namespace or matches(policy.selector, workload.pod_labels):
        return True
    return any(matches(policy.selector, pod.labels) for pod in workload.pods)


def _expect_port_names(findings: Findings, rule: Rule, known: frozenset[tuple[str, str]], *, reachable: bool) -> None:
    for number, entry in enumerate(rule.ports_listed):
        port = entry.get("port")
        if isinstance(port, str) and reachable:
            findings.expect(
                (port, str(entry.get("protocol") or "TCP")) in known,
                f"{rule.path}.ports[{number}]",
                expected="the name of a container port",
                observed=port,
            )


@readiness("network-policy.identity-based-rules", severity="high", reads=WORLD_READS)
def test_rules_allow_workloads_by_identity(
    network_policy: NetworkPolicySubject, findings: Findings, inventory: Reader
) -> None:
    """Every allow rule between workloads names them by their labels.

    Why: A rule for everybody, for a whole cluster, or for a range of pod addresses also admits the next workload that
    nobody thought of, and whoever takes over an address.
    How: Each rule of the policy: peers have to be listed; a peer by labels needs a podSelector that is not empty, or a
    namespaceSelector that is not; an ipBlock must not reach the pods' address ranges (spec.podCIDRs of the nodes and
    the addresses of live pods), so that 0.0.0.0/0 has to except them.
    Fix: Name podSelector and namespaceSelector of the peers; for addresses outside of the cluster except the pod range.
    Does not prove: That the labels are earned: who may create pods with them is a matter of RBAC and admission.
    """
    policy = NetworkPolicy(network_policy.raw)
    here = inventory.derive(world)
    pods = list(here.endpoints.values())
    rules = [rule for direction in DIRECTIONS for rule in policy.rules(direction)]
    if not rules:
        findings.not_applicable("the policy has no allow rule")
    for rule in rules:
        if rule.peers is None:
            peers = "from" if rule.direction == "ingress" else "to"
            findings.expect(False, rule.path, expected=f"listed peers in `{peers}`", observed="everybody")
            continue
        for number, peer in enumerate(rule.peers):
            place = f"{rule.path} peer {number}"
            observed = _too_wide(peer, pods)
            findings.expect(not observed, place, expected="workloads by their labels", observed=observed)


def _too_wide(peer: Peer, pods: list[Endpoint]) -> str:
    if peer.block is not None:
        reached = next((pod for pod in pods if not pod.host_network and peer.admits(pod)), None)
        return f"{peer.block}, which reaches the addresses of pods ({reached.name})" if reached else ""
    if _empty(peer.raw.get("podSelector")) and _empty(peer.raw.get("namespaceSelector")):
        return "every pod" + (" of the namespace" if peer.raw.get("namespaceSelector") is None else " of the cluster")
    return ""


def _empty(selector: dict[str, object] | None) -> bool:
    return not (selector or {}).get("matchLabels") and not (selector or {}).get("matchExpressions")
