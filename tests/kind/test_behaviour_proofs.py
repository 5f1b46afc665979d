"""Every check that needs running containers is proved on a real kind cluster: defects are caught, near misses left alone."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fixtures.api import Api
from fixtures.catalogue import load
from fixtures.clusters import Cluster
from fixtures.lab import image
from fixtures.readiness import Check
from reports.words import Verdict
from tests.proofs.case import Case
from tests.proofs.stage import Stage

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
CASES: list[Case] = [case for name in NAMES for case in importlib.import_module(f"tests.kind.{name}").CASES]
ON_PODS = sorted(
    (check for check in load().values() if check.needs & {"pods", "traffic", "node-access"}), key=lambda check: check.id
)


def planned(item: pytest.Item) -> Case | None:
    case = item.callspec.params.get("case") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    return case if isinstance(case, Case) else None


@pytest.fixture(scope="session")
def stage(target: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    cases = [case for item in request.session.items if (case := planned(item))]
    return Stage(
        target, Api.connect(target.kubeconfig, target.context), tmp_path_factory.mktemp("stage"), cases, image.tag()
    )


@pytest.mark.parametrize("check", ON_PODS, ids=lambda check: check.id)
def test_check_has_a_planted_defect_and_a_near_miss(check: Check) -> None:
    verdicts = {case.verdict for case in CASES if case.property_id == check.id}

    assert Verdict.FAIL in verdicts, f"{check.id} has no planted defect in tests/kind"
    assert verdicts - {Verdict.FAIL}, f"{check.id} has no near miss in tests/kind"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, stage: Stage) -> None:
    record = stage.play(case)

    said = "\n".join(f"{finding.at}: {finding.observed}" for finding in record.findings)
    assert record.verdict == case.verdict, f"{record.subject}: {record.verdict} {record.reason}\n{said}"
    assert case.observed in said
