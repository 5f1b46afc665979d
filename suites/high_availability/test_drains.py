"""Whether evictions, and so drains, keep to disruption budgets, tried out with pods of the run's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.states import ask_until, ready_names
from fixtures.lab.waiting import Objects, await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

APP, REPLICAS, LEAST = "web", 3, 2


@readiness(
    "high-availability.pdb-protects-on-drain",
    severity="high",
    needs=("pods",),
    consent="probes",
    uses=("namespaces", "pods", "pods/eviction", "deployments", "poddisruptionbudgets"),
)
def test_drains_keep_to_disruption_budgets(
    cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """A drain waits where a disruption budget says so, and comes to its end.

    Why: Nodes are drained at each upgrade. Where budgets are not honoured that is an outage, and where a drain never ends there
        is no upgrade.
    How: A Deployment of three pods with a budget of minAvailable 2. One eviction has to be granted; the next, at once, has to be
        refused with 429 and the budget as its cause. Then all of the old pods are evicted, each as soon as it is granted, as
        kubectl drain does: within 60 s none may be left, and at no time may fewer than two pods be ready.
    Fix: Look at kube-controller-manager (disruption controller) and at what changes budgets on their way.
    Does not prove: That workloads have budgets, or that theirs let a drain end (high-availability.pdb-allows-drain). No node is
        cordoned and only pods of this run are evicted.
    """
    bound = policy.limit(limits.DRAIN_DEADLINE)
    with lab.place("drain") as place:
        place.create("deployments", objects.deployment(APP, place.spec(), REPLICAS))
        selector = {"matchLabels": {objects.APP: APP}}
        place.create("poddisruptionbudgets", objects.named(APP, spec={"minAvailable": LEAST, "selector": selector}))
        old = sorted(place.await_all("pods", _all_ready, "three ready pods", limits.LAB_POD_DEADLINE.value))
        _await_budget(place)
        if refusal := place.evict(old[0]):
            findings.inconclusive(f"the first eviction, which the budget allows, was refused: {refusal.message}")
        began = time.monotonic()
        refusal = place.evict(old[1])
        findings.expect(
            refusal is not None and "disruption budget" in refusal.message,
            "a second eviction at once",
            expected="refused because of the disruption budget",
            observed=refusal.message if refusal else "granted",
        )
        lowest, left = _drained(place, old[1:], bound)
        took = time.monotonic() - began
    findings.expect(lowest >= LEAST, "ready pods", expected=f"never below {LEAST}", observed=str(lowest))
    findings.expect(not left, "the drain", expected=f"done within {bound:g} s", observed=left)
    findings.measure("drain of three pods", took, "s", bound)


def _all_ready(pods: Objects) -> set[str] | None:
    names = ready_names(pods, APP)
    return names if len(names) == REPLICAS else None


def _await_budget(place: Place) -> None:
    """Wait until the budget counts all pods: before that, it grants nothing."""

    def counted(found: dict[str, object] | None) -> bool | None:
        status = (found or {}).get("status") or {}
        return True if isinstance(status, dict) and status.get("disruptionsAllowed") else None

    place.await_one("poddisruptionbudgets", APP, counted, limits.LAB_POD_DEADLINE.value, "an eviction that is allowed")


def _drained(place: Place, old: Sequence[str], seconds: float) -> tuple[int, str]:
    """Evict the pods one after another; the fewest ready pods that a watch saw meanwhile, and what is missing at the end."""
    lowest = REPLICAS
    deadline = time.monotonic() + seconds

    def done(pods: Objects) -> bool | None:
        nonlocal lowest
        ready = ready_names(pods, APP)
        lowest = min(lowest, len(ready))
        return True if len(ready) == REPLICAS and not pods.keys() & set(old) else None

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(await_state, place.api, place.path("pods"), {}, done, seconds, "the end of the drain")
        try:
            for name in old:
                ask_until(
                    partial(_granted, place, name), max(0.0, deadline - time.monotonic()), f"the eviction of {name}"
                )
            watching.result()
        except Missed as missed:
            return lowest, str(missed)
    return lowest, ""


def _granted(place: Place, name: str) -> bool | None:
    return True if place.evict(name) is None else None
