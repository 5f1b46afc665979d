"""Whether the API server really holds evictions back where a budget says so."""

from __future__ import annotations

from fixtures import limits
from fixtures.api import ApiError, Forbidden, NotFound
from fixtures.lab import Workbench, objects
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import DisruptionBudget, Pod, Raw, Reader

_GOES, _GONE, _HELD_BACK = 201, 404, 429


@readiness(
    "high-availability.evictions-honour-budgets",
    severity="high",
    needs=("api",),
    reads=("pods",),
    consent="probes",
    uses=("pods/eviction", "poddisruptionbudgets:get"),
)
def test_budgets_hold_evictions_back(
    disruption_budget: DisruptionBudget, findings: Findings, lab: Workbench, inventory: Reader, policy: Policy
) -> None:
    """Each PodDisruptionBudget grants or refuses evictions, and never breaks them.

    Why: Where two budgets claim a pod the eviction API answers with an error: the drain hangs, or is forced.
    How: Up to five of the Ready pods that the budget selects are evicted with dryRun=All. Each has to be granted or held
        back by 429; held back where the budget allows no disruption at that moment.
    Fix: Narrow the selectors that overlap.
    Does not prove: That evictions beyond the budget are held back (high-availability.pdb-protects-on-drain): a dry run does
        not use it up.
    """
    path = f"{objects.collection('poddisruptionbudgets', disruption_budget.namespace)}/{disruption_budget.short_name}"
    most = int(policy.limit(limits.EVICTIONS_ASKED))
    for pod in _covered(disruption_budget, inventory)[:most]:
        try:
            before = _allowed(lab.api.get(path))
            refusal = lab.dry_run_eviction(pod.short_name, pod.namespace)
            after = _allowed(lab.api.get(path))
        except NotFound:
            findings.inconclusive("the budget is gone")
        except Forbidden as error:
            findings.not_assessed(f"may not read the budget as it is now: {error.message}")
        status = refusal.status if refusal else _GOES
        if status == _GONE:
            continue
        at = f"pod {pod.short_name}"
        if status == _GOES and before == after == 0:
            findings.expect(False, at, expected="429: the budget allows no disruption", observed="granted")
        else:
            findings.expect(status in (_GOES, _HELD_BACK), at, expected="granted, or 429", observed=_said(refusal))
    if not findings.examined:
        findings.not_applicable("the budget selects no Ready pod, so that nothing can be evicted")


def _covered(budget: DisruptionBudget, inventory: Reader) -> list[Pod]:
    """The Ready pods that a budget selects: it never holds back those that are not."""
    pods = [Pod(raw) for raw in inventory.objects("pods") if raw["metadata"].get("namespace") == budget.namespace]
    return [pod for pod in pods if pod.ready and not pod.ended and budget.selects(pod.labels)]


def _allowed(budget: Raw) -> int:
    return int((budget.get("status") or {}).get("disruptionsAllowed") or 0)


def _said(refusal: ApiError | None) -> str:
    return f"{refusal.status} {refusal.message}" if refusal else "granted"
