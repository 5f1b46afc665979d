"""Which pods give way to which."""

from __future__ import annotations

from collections.abc import Mapping

from fixtures import limits
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster, Workload
from fixtures.subjects.assessed import chosen, place

CLASSES = "priorityclasses.scheduling.k8s.io"
SYSTEM = "system-"
NODE_CRITICAL = "system-node-critical"


@readiness("workloads.priority-classes", severity="medium", reads=(CLASSES,))
def test_the_cluster_ranks_its_workloads(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """The cluster has priority classes of its own that rank workloads.

    Why: without a rank the scheduler lets whichever pod came first keep its place when nodes are lost.
    How: PriorityClasses other than system-* with at least two different values, and at most one globalDefault.
    Fix: create classes such as critical, default and batch, with different values.
    Does not prove: that workloads use them (workloads.critical-priority).
    """
    own = [raw for raw in inventory.objects(CLASSES) if not str(raw["metadata"]["name"]).startswith(SYSTEM)]
    values = {int(raw.get("value") or 0) for raw in own}
    wanted = int(policy.limit(limits.PRIORITY_CLASSES))
    names = [f"{raw['metadata']['name']} = {raw.get('value')}" for raw in own]
    findings.expect(
        len(values) >= wanted,
        "PriorityClasses",
        expected=f"at least {wanted} classes of different values",
        observed=names,
        look="kubectl get priorityclasses",
    )
    defaults = [str(raw["metadata"]["name"]) for raw in own if raw.get("globalDefault")]
    findings.expect(len(defaults) <= 1, "globalDefault", expected="at most one class", observed=defaults)


@readiness("workloads.critical-priority", severity="medium", reads=(CLASSES,))
def test_critical_workloads_have_priority(critical_workload: Workload, findings: Findings, inventory: Reader) -> None:
    """Every critical workload names a priority class above the default.

    Why: when capacity is short the scheduler evicts by priority, and what earns the money must not go first.
    How: priorityClassName of the template names a class whose value is above the globalDefault class's, or above 0.
    Critical are the workloads of subjects.critical in the policy file; without that list, those reached from outside
    by a LoadBalancer or NodePort Service, an Ingress or an HTTPRoute.
    Fix: set `priorityClassName` in the pod template to a class of your own with a higher value.
    Does not prove: that the ranks among the critical ones are right.
    """
    values = inventory.derive(class_values)
    default = inventory.derive(default_value)
    name = critical_workload.pod_spec.get("priorityClassName")
    value = values.get(str(name))
    observed = None if name is None else f"{name} = {value}" if value is not None else f"{name}, which does not exist"
    findings.expect(
        value is not None and value > default,
        f"{critical_workload.pod_spec_path}.priorityClassName",
        expected=f"a class above {default}",
        observed=observed,
    )


@readiness("workloads.no-system-priority", severity="medium")
def test_applications_leave_system_priorities_alone(workload: Workload, findings: Findings, policy: Policy) -> None:
    """No application claims a priority class of the system.

    Why: a pod of class system-cluster-critical pushes others out until the cluster's own parts have no place left.
    How: priorityClassName of the template is not system-*. DaemonSets may name system-node-critical, which is made
    for them, and so may what the policy file lists under subjects.node_agents name either.
    Fix: create a PriorityClass of your own below 1000000000 and name that; list true node agents in
    subjects.node_agents, and namespaces of the platform in scope.system.
    Does not prove: who is allowed to use the system's classes.
    """
    name = str(workload.pod_spec.get("priorityClassName") or "")
    agent = workload.kind == "DaemonSet" and name == NODE_CRITICAL
    allowed = agent or chosen(policy.subjects.node_agents, place(workload.raw))
    findings.expect(
        allowed or not name.startswith(SYSTEM),
        f"{workload.pod_spec_path}.priorityClassName",
        expected="no class named system-*",
        observed=name,
    )


@readiness("workloads.priority-class-node-critical", severity="medium", reads=(CLASSES,))
def test_node_agents_have_their_priority(
    daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """A DaemonSet declared node-critical runs with the class system-node-critical.

    Why: a node without its agent is no node, so the agent must be the last to be evicted.
    How: with subjects.daemon_sets.node_critical in the policy file: priorityClassName of the template is
    subjects.daemon_sets.priority_class, and every live pod carries that class's value in spec.priority.
    Fix: set `priorityClassName: system-node-critical` and restart the pods that are older than the change.
    Does not prove: that the DaemonSet deserves it.
    """
    expected = policy.subjects.daemon_sets
    if not expected.node_critical:
        findings.not_applicable("the policy file does not call it node-critical (subjects.daemon_sets.node_critical)")
    name = daemon_set.pod_spec.get("priorityClassName")
    findings.expect(
        name == expected.priority_class,
        f"{daemon_set.pod_spec_path}.priorityClassName",
        expected=expected.priority_class,
        observed=name,
    )
    value = inventory.derive(class_values).get(expected.priority_class)
    findings.expect(value is not None, "PriorityClass", expected=expected.priority_class, observed="does not exist")
    for pod in daemon_set.pods:
        priority = pod.spec.get("priority")
        findings.expect(priority == value, pod, expected=f"priority {value}", observed=priority)


def class_values(reader: Reader) -> Mapping[str, int]:
    """The value of every PriorityClass by name, the system's included."""
    return {str(raw["metadata"]["name"]): int(raw.get("value") or 0) for raw in reader.objects(CLASSES)}


def default_value(reader: Reader) -> int:
    """The priority of pods that name no class: that of the lowest globalDefault class, else 0."""
    return min((int(raw.get("value") or 0) for raw in reader.objects(CLASSES) if raw.get("globalDefault")), default=0)
