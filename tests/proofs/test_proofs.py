"""Every check is proved on a real API server: it catches each planted defect and leaves each near miss alone."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fixtures.catalogue import load
from fixtures.readiness import Check
from reports.words import Verdict
from tests.proofs.case import Case
from tests.proofs.stage import Stage

AREAS = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
CASES: list[Case] = [case for area in AREAS for case in importlib.import_module(f"tests.proofs.{area}").CASES]
PROVED_ELSEWHERE = ("chaos.", "load.")
"""Experiments and scenarios are proved by tests/chaos and tests/load, where the defect is a fault, not an object."""

ON_PODS = frozenset({"pods", "traffic", "node-access"})
"""What needs running containers is proved by tests/kind."""

STATIC = sorted(
    (check for check in load().values() if not check.module.startswith(PROVED_ELSEWHERE) and not check.needs & ON_PODS),
    key=lambda c: c.id,
)


@pytest.mark.parametrize("check", STATIC, ids=lambda check: check.id)
def test_check_has_a_planted_defect_and_a_near_miss(check: Check) -> None:
    verdicts = {case.verdict for case in CASES if case.property_id == check.id}

    assert Verdict.FAIL in verdicts, f"{check.id} has no planted defect in tests/proofs"
    assert verdicts - {Verdict.FAIL}, f"{check.id} has no near miss in tests/proofs"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, stage: Stage) -> None:
    record = stage.play(case)

    said = "\n".join(f"{finding.at}: {finding.observed}" for finding in record.findings)
    assert record.verdict == case.verdict, f"{record.subject}: {record.verdict} {record.reason}\n{said}"
    assert case.observed in said
