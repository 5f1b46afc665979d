"""PodDisruptionBudgets that keep a pod running, and still let a node be drained."""

from __future__ import annotations

import math

from fixtures.readiness import Findings, readiness
from fixtures.subjects import DisruptionBudget, Raw, Reader, Replicated
from fixtures.subjects.assessed import REPLICATED_READS
from fixtures.subjects.availability import AUTOSCALERS, BUDGETS, budgets_by_namespace


@readiness("high-availability.pdb-present", severity="high", reads=(BUDGETS, *REPLICATED_READS, AUTOSCALERS))
def test_one_budget_covers_each_workload(replicated: Replicated, findings: Findings, inventory: Reader) -> None:
    """Exactly one PodDisruptionBudget selects the pods of each replicated workload.

    Why: Without a budget a drain evicts all replicas at once; with two budgets over one pod the eviction API
    refuses.
    How: The selectors of the namespace's budgets (an empty one selects all pods) against the labels of each running
    pod, or of the template where no pod runs. Workloads with fewer than two replicas need none.
    Fix: Add one PodDisruptionBudget with the workload's labels, or narrow the selectors that overlap.
    Does not prove: That the budget lets a drain proceed (high-availability.pdb-min-available-one).
    """
    if replicated.replicas < 2:
        findings.not_applicable(f"spec.replicas is {replicated.replicas}: a budget would only block drains")
    budgets = inventory.derive(budgets_by_namespace).get(replicated.namespace, ())
    pods = replicated.labels_of_pods
    selected = [[budget.selects(labels) for budget in budgets] for labels in pods]
    covering = [
        budget.short_name for budget, hits in zip(budgets, zip(*selected, strict=True), strict=True) if any(hits)
    ]
    covered = sum(any(hits) for hits in selected)
    findings.expect(
        covered == len(pods),
        "PodDisruptionBudgets of the namespace",
        expected="every pod selected by one of them",
        observed=f"{covered} of {len(pods)} pods or templates selected by {', '.join(covering) or 'none'}",
    )
    findings.expect(
        max(sum(hits) for hits in selected) <= 1,
        "PodDisruptionBudgets of the namespace",
        expected="no pod selected by two of them",
        observed=covering,
    )


@readiness("high-availability.pdb-selects-pods", severity="medium")
def test_every_budget_selects_something(disruption_budget: DisruptionBudget, findings: Findings) -> None:
    """Every PodDisruptionBudget selects pods.

    Why: A budget whose selector has a typo, or outlived its workload, protects nothing while everybody believes it
    does.
    How: spec.selector against the pods of the namespace and the templates of its workloads, scaled to zero or not;
    an absent selector selects nothing.
    Fix: Copy the labels of the workload's pod template into spec.selector, or delete the budget.
    Does not prove: That it selects the pods that were meant.
    """
    findings.expect(
        bool(disruption_budget.pods or disruption_budget.workloads),
        "spec.selector",
        expected="a selector that matches pods",
        observed=disruption_budget.spec.get("selector"),
    )


@readiness("high-availability.pdb-min-available-one", severity="high")
def test_budgets_keep_a_pod_and_allow_a_drain(disruption_budget: DisruptionBudget, findings: Findings) -> None:
    """Every PodDisruptionBudget keeps at least one pod, and allows one to go.

    Why: A budget of zero protects nothing; one that equals the replicas makes every drain and node upgrade hang.
    How: minAvailable or maxUnavailable, percentages rounded up as the disruption controller does, at the lowest
    number of pods that the selected workloads run with (replicas, or the autoscaler's minReplicas), all of them
    healthy.
    Fix: Set minAvailable: 1 (or maxUnavailable: 1) with two replicas or more.
    Does not prove: That unhealthy pods can be evicted; set unhealthyPodEvictionPolicy: AlwaysAllow for that.
    """
    expected = _expected_pods(disruption_budget)
    if not expected:
        findings.not_applicable("the budget selects no pod that is wanted now")
    desired = desired_healthy(disruption_budget.spec, expected)
    if desired is None:
        findings.expect(False, "spec", expected="minAvailable or maxUnavailable", observed="neither: no pod may go")
        return
    at = "spec.minAvailable" if disruption_budget.spec.get("minAvailable") is not None else "spec.maxUnavailable"
    shown = f"{disruption_budget.spec.get(at.removeprefix('spec.'))} of {expected} pods"
    findings.expect(desired >= 1, at, expected="at least one pod kept", observed=f"{shown}: none is kept")
    findings.expect(expected - desired >= 1, at, expected="at least one pod may go", observed=f"{shown}: no pod may go")


def _expected_pods(budget: DisruptionBudget) -> int:
    """The fewest pods that the budget counts: its workloads at their lowest, other owners' pods as they are."""
    floor = sum(workload.floor for workload in budget.workloads)
    others = budget.pods - sum(len(workload.running) for workload in budget.workloads)
    return floor + max(others, 0)


def desired_healthy(spec: Raw, expected: int) -> int | None:
    """How many pods the disruption controller keeps healthy out of `expected`; None where the spec says nothing."""
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None:
        return scaled(least, expected)
    return None if most is None else max(expected - scaled(most, expected), 0)


def scaled(value: int | str, total: int) -> int:
    """A number, or a percentage of a total rounded up, as the disruption controller reads it."""
    text = str(value)
    return math.ceil(int(text[:-1]) * total / 100) if text.endswith("%") else int(text)
