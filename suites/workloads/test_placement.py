"""Where the assessed DaemonSet's pods run, and how that is steered."""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn

from fixtures.placement import eligible
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Raw, Reader, Workload

UNSEEN = "the values of a Helm release lie in a Secret, which is never read"


@readiness("workloads.one-pod-per-node", severity="high", reads=("nodes",))
def test_one_pod_runs_on_every_eligible_node(daemon_set: Workload, findings: Findings, inventory: Reader) -> None:
    """Exactly one ready pod of the DaemonSet runs on every eligible node.

    Why: an agent that is missing on a node leaves it unwatched, and two on one node fight for its ports and files.
    How: a node is eligible when nodeName, nodeSelector and node affinity match and its NoSchedule and NoExecute
    taints are tolerated, the tolerations that the controller adds included; it has one ready pod that is not being
    deleted. No pod runs elsewhere. While a rollout is under way the DaemonSet is not assessed.
    Fix: correct tolerations, resources or image pulls that keep pods off the named nodes.
    Does not prove: that the pods do their work.
    """
    status = daemon_set.status
    wanted = int(status.get("desiredNumberScheduled") or 0)
    if status.get("observedGeneration") != daemon_set.metadata.get("generation"):
        findings.not_assessed("the controller has not yet seen the latest version")
    if int(status.get("updatedNumberScheduled") or 0) != wanted:
        findings.not_assessed(
            f"a rollout is under way: {status.get('updatedNumberScheduled') or 0} of {wanted} are updated"
        )
    homes = {node.short_name for node in map(Node, inventory.objects("nodes")) if eligible(daemon_set.pod_spec, node)}
    pods = [pod for pod in daemon_set.pods if not pod.ended and not pod.metadata.get("deletionTimestamp")]
    if not homes and not pods:
        findings.not_applicable("no node matches the selector, affinity and tolerations")
    ready = Counter(pod.node for pod in pods if pod.ready)
    for home in sorted(homes):
        findings.expect(
            ready[home] == 1, f"Node {home}", expected="one ready pod", observed=f"{ready[home]} ready pods"
        )
    for pod in pods:
        stray = bool(pod.node) and pod.node not in homes
        findings.expect(not stray, pod, expected="no pod on a node that is not eligible", observed=pod.node)


@readiness("workloads.node-selector-configurable", severity="low")
def test_the_node_selector_is_as_configured(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """Placement follows the configuration: the node selector is the declared one.

    Why: an agent that cannot be told where to run ends up on nodes that cannot run it.
    How: nodeSelector of the template equals subjects.daemon_sets.node_selector of the policy file. Without that key
    the property is not assessed: a chart's values would show that the selector can be set, but lie in a Secret.
    Fix: expose nodeSelector as a value of the chart and pass it through.
    Does not prove: that the chart offers the value.
    """
    expected = policy.subjects.daemon_sets.node_selector
    if expected is None:
        _undeclared(findings, "node_selector")
    value = daemon_set.pod_spec.get("nodeSelector") or {}
    at = f"{daemon_set.pod_spec_path}.nodeSelector"
    findings.expect(value == expected, at, expected=str(expected), observed=value)


@readiness("workloads.tolerations-configurable", severity="low")
def test_the_tolerations_are_as_configured(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """Placement follows the configuration: the tolerations are the declared ones.

    Why: without the right tolerations an agent is missing on exactly the nodes that are special.
    How: tolerations of the template, in any order, equal subjects.daemon_sets.tolerations of the policy file. Without
    that key the property is not assessed: a chart's values would show that they can be set, but lie in a Secret.
    Fix: expose tolerations as a value of the chart and pass it through.
    Does not prove: that the chart offers the value.
    """
    expected = policy.subjects.daemon_sets.tolerations
    if expected is None:
        _undeclared(findings, "tolerations")
    value = daemon_set.pod_spec.get("tolerations") or []
    same = Counter(map(_normal, value)) == Counter(map(_normal, expected))
    findings.expect(same, f"{daemon_set.pod_spec_path}.tolerations", expected=str(list(expected)), observed=str(value))


@readiness("workloads.affinity-configurable", severity="low")
def test_the_affinity_is_as_configured(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """Placement follows the configuration: the affinity is the declared one.

    Why: rules such as "not on virtual nodes" can be said by affinity only.
    How: affinity of the template equals subjects.daemon_sets.affinity of the policy file. Without that key the
    property is not assessed: a chart's values would show that it can be set, but lie in a Secret.
    Fix: expose affinity as a value of the chart and pass it through.
    Does not prove: that the chart offers the value.
    """
    expected = policy.subjects.daemon_sets.affinity
    if expected is None:
        _undeclared(findings, "affinity")
    value: dict[str, Any] = daemon_set.pod_spec.get("affinity") or {}
    at = f"{daemon_set.pod_spec_path}.affinity"
    findings.expect(value == expected, at, expected=str(expected), observed=str(value) if value else None)


def _undeclared(findings: Findings, key: str) -> NoReturn:
    findings.not_assessed(f"the policy file declares no subjects.daemon_sets.{key}, and {UNSEEN}")


def _normal(toleration: Raw) -> tuple[tuple[str, str], ...]:
    whole = {"operator": "Equal", **toleration}
    return tuple(sorted((str(key), str(value)) for key, value in whole.items() if value not in ("", None)))
