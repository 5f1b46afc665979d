"""The experiments as files: valid for Chaos Toolkit, guarded, undoable, and tied to the properties that they decide."""

from __future__ import annotations

from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from chaos.experiment import UnknownExperimentError, load, names
from fixtures.readiness import CHECKS
from tests.chaos.chaos_tools import MODULES


def activities(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    return [*experiment["steady-state-hypothesis"]["probes"], *experiment["method"], *experiment["rollbacks"]]


def test_the_four_experiments_are_there() -> None:
    assert names() == ["api-server-loss", "controller-manager-failover", "etcd-leader-loss", "scheduler-failover"]


@pytest.mark.parametrize("name", names())
def test_chaos_toolkit_finds_it_valid(name: str) -> None:
    ensure_experiment_is_valid(load(name).experiment)


@pytest.mark.parametrize("name", names())
def test_it_has_a_guard_one_kill_and_an_undo(name: str) -> None:
    experiment = load(name).experiment
    assert [control["provider"]["module"] for control in experiment["controls"]] == ["chaos.controls"]
    kills = [one for one in experiment["method"] if one["provider"]["func"].startswith("kill_")]
    assert len(kills) == 1
    assert kills[0]["provider"]["arguments"]["signal"] == "SIGKILL"
    assert [one["provider"]["func"] for one in experiment["rollbacks"]] == ["restore_members"]


@pytest.mark.parametrize("name", names())
def test_every_probe_of_the_steady_state_has_a_tolerance(name: str) -> None:
    assert all("tolerance" in probe for probe in load(name).experiment["steady-state-hypothesis"]["probes"])


@pytest.mark.parametrize("name", names())
def test_nothing_runs_in_the_background_or_dry(name: str) -> None:
    experiment = load(name).experiment
    assert not any({"background", "dry"} & part.keys() for part in (experiment, *activities(experiment)))


@pytest.mark.parametrize("name", names())
def test_a_person_is_told_what_it_does(name: str) -> None:
    assert {"properties", "component", "fault", "blast-radius", "abort", "undo", "takes"} <= load(name).facts.keys()


def test_experiments_and_checks_name_the_same_properties() -> None:
    named = {one for name in names() for one in load(name).facts["properties"]}
    assert named == {check.id for check in CHECKS.values() if check.module in MODULES}


def test_every_check_asks_for_consent_and_processes() -> None:
    checks = [check for check in CHECKS.values() if check.module in MODULES]
    assert checks
    assert all(check.consent == "disruption" and "processes" in check.needs for check in checks)


def test_an_unknown_experiment_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownExperimentError, match="did you mean etcd-leader-loss"):
        load("etcd-leader-los")
