"""Planted defects and near misses of the life of a namespace, with a small automation of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from fixtures.lab.waiting import await_gone
from reports.words import Verdict
from tests.proofs.automation import LABEL, automation
from tests.proofs.case import Case, defect, near_miss

DEADLINE = 60.0
LIFECYCLE = "tenancy.namespace-lifecycle"
ASKED: dict[str, Any] = {"subjects": {"new_namespace": {LABEL: "yes"}}}
IMPATIENT: dict[str, Any] = {**ASKED, "thresholds": {"tenancy.namespace-complete": 2}}


def ending(api: Api, namespace: str) -> Callable[[], None]:
    """Delete a namespace that a finalizer holds back, and let it go at the end; `arrange` for a case."""
    name = f"held-{namespace}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    held = {"metadata": {"name": "held", "finalizers": ["proof.example/never"]}}
    api.create(f"/api/v1/namespaces/{name}/configmaps", held)
    api.delete(f"/api/v1/namespaces/{name}")

    def undo() -> None:
        api.patch(f"/api/v1/namespaces/{name}/configmaps/held", {"metadata": {"finalizers": None}})
        await_gone(api, f"/api/v1/namespaces/{name}", DEADLINE)

    return undo


CASES: list[Case] = [
    defect(LIFECYCLE, "nothing completes it", observed="no ResourceQuota", policy=IMPATIENT, alone=True),
    defect(
        LIFECYCLE,
        "the automation forgets the network",
        observed="no NetworkPolicy",
        policy={**ASKED, "thresholds": {"tenancy.namespace-complete": 5}},
        alone=True,
        arrange=automation(without=("deny",)),
    ),
    defect(
        LIFECYCLE,
        "a namespace that never ends",
        observed="ending for",
        policy={**IMPATIENT, "thresholds": {"tenancy.namespace-terminating": 0}, "subjects": {}},
        alone=True,
        arrange=ending,
    ),
    near_miss(LIFECYCLE, "all of it comes", policy=ASKED, alone=True, arrange=automation()),
    near_miss(LIFECYCLE, "nobody said how it is asked for", alone=True, verdict=Verdict.NOT_ASSESSED),
]
