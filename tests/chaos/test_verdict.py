"""What a journal of Chaos Toolkit proves: one that proves all, and each way in which it can fall short."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from chaos.verdict import deviation, inconclusive, interrupted

Journal = dict[str, Any]


def run(name: str, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    return {"activity": {"name": name}, "status": status, "output": True, **more}


def state(*, met: bool = True, **more: Any) -> dict[str, Any]:
    return {"steady_state_met": met, "probes": [run("the API answers", **more)]}


def whole() -> Journal:
    return {
        "experiment": {"method": [{"name": "kill"}, {"name": "look"}], "rollbacks": [{"name": "restart"}]},
        "status": "completed",
        "deviated": False,
        "steady_states": {"before": state(), "after": state(), "during": [], "after_undo": state()},
        "run": [run("kill"), run("look")],
        "rollbacks": [run("restart")],
    }


def test_a_whole_journal_is_conclusive_and_has_not_deviated() -> None:
    assert inconclusive(whole(), landed=True, aborted="") == ""
    assert deviation(whole()) == ""
    assert not interrupted(whole(), "")


def break_(change: Callable[[Journal], None]) -> Journal:
    journal = copy.deepcopy(whole())
    change(journal)
    return journal


def said(line: str) -> list[str]:
    return ["Traceback ...\n", f"chaoslib.exceptions.ActivityFailed: {line}\n"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda j: j["steady_states"].update(before=None), "not met before"),
        (lambda j: j["steady_states"].update(before=state(met=False)), "not met before"),
        (lambda j: j["run"].__setitem__(0, run("kill", "failed", exception=said("it still runs"))), "it still runs"),
        (lambda j: j["run"].pop(), "1 of 2 activities"),
        (lambda j: j.update(run=None), "0 of 2 activities"),
        (lambda j: j["run"][1].pop("status"), "'look' failed"),
        (lambda j: j.update(status="interrupted"), "interrupted"),
        (lambda j: j.update(status="aborted"), "aborted"),
        (lambda j: j["steady_states"].update(after=None), "not looked at after"),
        (
            lambda j: j["rollbacks"].__setitem__(0, run("restart", "failed", exception=said("no"))),
            "undo 'restart' failed",
        ),
        (lambda j: j.update(rollbacks=[]), "0 of 1 undo"),
        (lambda j: j["steady_states"].update(after_undo=state(met=False)), "after the undo"),
        (lambda j: j["steady_states"].pop("after_undo"), "after the undo"),
    ],
)
def test_whatever_is_missing_makes_it_inconclusive(change: Callable[[Journal], None], words: str) -> None:
    assert words in inconclusive(break_(change), landed=True, aborted="")


def test_a_fault_without_proof_is_inconclusive_however_well_all_ended() -> None:
    assert "not proved" in inconclusive(whole(), landed=False, aborted="")


def test_an_abort_is_inconclusive() -> None:
    assert "stop file" in inconclusive(whole(), landed=True, aborted="the stop file is there")


def test_a_steady_state_that_did_not_come_back_is_a_deviation_and_no_mere_doubt() -> None:
    journal = break_(lambda j: j["steady_states"].update(after=state(met=False)) or j.update(deviated=True))
    assert inconclusive(journal, landed=True, aborted="") == ""
    assert "the API answers" in deviation(journal)


def test_a_steady_state_that_nobody_looked_at_is_a_deviation_too() -> None:
    assert deviation(break_(lambda j: j["steady_states"].update(after=None)))


def test_ctrl_c_and_sigterm_are_told_from_an_abort_by_the_guard() -> None:
    stopped = break_(lambda j: j.update(status="interrupted"))
    assert interrupted(stopped, "")
    assert not interrupted(stopped, "an activity failed")
    terminated = break_(
        lambda j: j["run"].__setitem__(1, run("look", "failed", exception=said("SIGTERM signal received")))
    )
    assert interrupted(terminated, "an activity failed")
