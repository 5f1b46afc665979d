"""Planted defects and near misses of an operator's enforcement, with a webhook that the API server really calls."""

from __future__ import annotations

from typing import Any

from reports.words import Verdict
from tests.proofs.builders import deployment
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.webhook import SERVICE, webhook

ENFORCEMENT = "admission.real-time-enforcement"
OPERATOR = deployment("operator", replicas=0)
POLICY: dict[str, Any] = {"subjects": {"operator": {"namespace": "{ns}", "name": "operator"}}}

CASES: list[Case] = [
    defect(
        ENFORCEMENT,
        "the webhook looks and lets everything through",
        OPERATOR,
        SERVICE,
        observed="admitted",
        policy=POLICY,
        alone=True,
        arrange=webhook(enforce=False),
    ),
    near_miss(
        ENFORCEMENT, "the webhook refuses", OPERATOR, SERVICE, policy=POLICY, alone=True, arrange=webhook(enforce=True)
    ),
    near_miss(
        ENFORCEMENT,
        "it does not run, and has no webhook",
        OPERATOR,
        policy=POLICY,
        alone=True,
        verdict=Verdict.NOT_ASSESSED,
    ),
    near_miss(ENFORCEMENT, "no operator is under assessment", OPERATOR, alone=True, verdict=Verdict.NOT_APPLICABLE),
]
