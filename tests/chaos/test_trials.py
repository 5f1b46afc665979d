"""Trials on a real control plane: those that run to their end, and the ways in which one must do and prove nothing."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from chaos import bridge, judge, mutex, probes
from chaos.bridge import BridgeError, Outcome
from chaos.experiment import load
from chaos.ground import Ground
from chaos.trial import STOP_FILE, Trial
from fixtures.policy import Policy
from fixtures.readiness import Decided
from fixtures.undo import Journal
from reports.words import Verdict
from tests.chaos.chaos_tools import changed, findings_of, left_behind, processes

QUICK = "etcd-leader-loss"


def verdict(outcome: Outcome, property_id: str) -> Verdict:
    """What the property of an experiment says to one outcome."""
    findings = findings_of(property_id)
    judges = {
        "high-availability.etcd-leader-loss": judge.writes_survive,
        "high-availability.api-server-loss": judge.clients_survive,
        "high-availability.scheduler-failover": judge.failover_within_bound,
    }
    try:
        judge.conclusive([outcome], findings)
        judges[property_id]([outcome], findings, Policy())
    except Decided as decided:
        return decided.verdict
    return findings.verdict()[0]


@pytest.fixture(autouse=True)
def nothing_left_behind(ground: Ground) -> Any:
    yield
    assert left_behind(ground) == []


def signal_zero(experiment: dict[str, Any]) -> None:
    (kill,) = [one for one in experiment["method"] if one["provider"]["func"].startswith("kill_")]
    kill["provider"]["arguments"]["signal"] = "0"


def test_a_killed_etcd_leader_is_replaced_twice_and_the_evidence_is_written(ground: Ground, tmp_path: Path) -> None:
    before = processes(ground)
    outcomes = bridge.run_all(QUICK, ground, tmp_path, repeats=2)
    for outcome in outcomes:
        assert (outcome.inconclusive, outcome.deviation) == ("", "")
        assert outcome.fault is not None
        assert outcome.observed.balance is not None
        assert outcome.observed.balance.acknowledged > 0
        assert processes(ground)[str(outcome.fault.member)] != before[str(outcome.fault.member)]
    assert [outcome.evidence for outcome in outcomes] == [
        (f"journals/{stem}.json", f"journals/{stem}.timeline.json") for stem in (QUICK, f"{QUICK}-2")
    ]
    journal, timeline = [json.loads((tmp_path / path).read_text()) for path in outcomes[1].evidence]
    assert journal["status"] == "completed"
    assert journal["steady_states"]["after_undo"]["steady_state_met"]
    assert journal["kubeworthy"]["ledger"]["lost"] == []
    assert {"experiment", "title", "unit", "t0", "events", "windows", "bounds", "error_bar_s"} == timeline.keys()
    assert any(event["t"] == 0 for event in timeline["events"])
    assert {window["kind"] for window in timeline["windows"]} <= {"outage", "leaderless"}


def test_a_run_that_proves_nothing_is_not_repeated(ground: Ground) -> None:
    stop = ground.state / "chaos" / STOP_FILE
    stop.touch()
    try:
        outcomes = bridge.run_all(QUICK, ground, None, repeats=3)
    finally:
        stop.unlink()
    assert len(outcomes) == 1


def test_a_killed_api_server_is_survived_and_the_watch_resumes(ground: Ground) -> None:
    outcome = bridge.run(load("api-server-loss"), ground, None)
    assert (outcome.inconclusive, outcome.deviation) == ("", "")
    assert outcome.observed.watch_breaks > 0
    assert outcome.observed.lost_events == ()
    # A busy machine may leave it undecided, but this cluster never fails it.
    assert verdict(outcome, "high-availability.api-server-loss") in {Verdict.PASS, Verdict.ERROR}
    assert outcome.fault is not None
    killed = outcome.fault.member.url.removeprefix("https://")
    windows = {lane: prober.outage().windows for lane, prober in outcome.observed.probers.items() if killed in lane}
    assert len(windows) == 2
    assert all(windows.values())


def test_a_kill_that_kills_nobody_passes_nothing(ground: Ground) -> None:
    before = processes(ground)
    outcome = bridge.run(changed(QUICK, signal_zero), ground, None)
    assert "still runs" in outcome.inconclusive
    assert processes(ground) == before
    assert verdict(outcome, "high-availability.etcd-leader-loss") is Verdict.ERROR


def test_a_guard_that_fails_stops_the_act(ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: Trial) -> str:
        raise RuntimeError("the guard has a bug")

    before = processes(ground)
    monkeypatch.setattr(Trial, "why_stop", broken)
    outcome = bridge.run(load(QUICK), ground, tmp_path)
    assert "the guard has a bug" in outcome.inconclusive
    assert processes(ground) == before
    journal = json.loads((tmp_path / outcome.evidence[0]).read_text())
    assert journal["run"] == []


def test_without_a_guard_there_is_no_act(ground: Ground) -> None:
    before = processes(ground)
    outcome = bridge.run(changed(QUICK, lambda experiment: experiment.update(controls=[])), ground, None)
    assert "not cleared" in outcome.inconclusive
    assert processes(ground) == before


def test_dry_as_a_string_is_dry(ground: Ground) -> None:
    before = processes(ground)
    outcome = bridge.run(changed(QUICK, lambda experiment: experiment.update(dry="actions")), ground, None)
    assert outcome.inconclusive
    assert processes(ground) == before


def test_an_unknown_word_for_dry_is_refused(ground: Ground) -> None:
    with pytest.raises(BridgeError, match="known are"):
        bridge.run(changed(QUICK, lambda experiment: experiment.update(dry="a bit")), ground, None)


def test_no_steady_state_before_no_act(ground: Ground) -> None:
    def never(experiment: dict[str, Any]) -> None:
        experiment["steady-state-hypothesis"]["probes"][0]["tolerance"] = False

    before = processes(ground)
    outcome = bridge.run(changed(QUICK, never), ground, None)
    assert "not met before" in outcome.inconclusive
    assert processes(ground) == before


def test_a_stop_file_stops_the_act(ground: Ground) -> None:
    stop = ground.state / "chaos" / STOP_FILE
    stop.touch()
    before = processes(ground)
    try:
        outcome = bridge.run(load(QUICK), ground, None)
    finally:
        stop.unlink()
    assert "stop file" in outcome.inconclusive
    assert processes(ground) == before


def test_two_experiments_never_run_at_once(ground: Ground) -> None:
    before = processes(ground)
    mutex.acquire(ground.servers, "somebody-else")
    try:
        outcome = bridge.run(load(QUICK), ground, None)
        assert "somebody-else holds the mutex" in outcome.inconclusive
        assert mutex.held_by(ground.servers) == "somebody-else"
    finally:
        mutex.release(ground.servers, "somebody-else")
    assert processes(ground) == before


def test_a_mutex_is_released_by_its_holder_only(ground: Ground) -> None:
    mutex.acquire(ground.servers, "one")
    assert not mutex.release(ground.servers, "another")
    assert mutex.release(ground.servers, "one")
    assert not mutex.release(ground.servers, "one")


def test_ctrl_c_ends_the_run_and_undoes_all(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(probes, "clients_fail_over", interrupted)
    before = processes(ground)
    with pytest.raises(KeyboardInterrupt):
        bridge.run(load("api-server-loss"), ground, None)
    after = processes(ground)
    assert len([name for name in before if name.startswith("kube-apiserver") and before[name] != after[name]]) == 1


def test_off_the_main_thread_it_is_refused(ground: Ground) -> None:
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            bridge.run(load(QUICK), ground, None)
        except BridgeError as error:
            raised.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread" in str(raised)


def test_an_experiment_that_is_not_valid_is_refused(ground: Ground) -> None:
    def broken(experiment: dict[str, Any]) -> None:
        experiment["method"][0]["provider"]["func"] = "no_such_probe"

    with pytest.raises(BridgeError, match="no_such_probe"):
        bridge.run(changed(QUICK, broken), ground, None)


def test_a_member_that_is_down_already_is_neither_joined_nor_restarted(ground: Ground) -> None:
    cluster = ground.cluster
    standby = next(
        m for m in cluster.members if m.component == "kube-scheduler" and m != cluster.leader("kube-scheduler")
    )
    standby.process.send(signal.SIGKILL)
    try:
        outcome = bridge.run(load(QUICK), ground, None)
        assert f"{standby} is down already" in outcome.inconclusive
        assert not cluster.alive(cluster.member(standby.component, standby.index))
    finally:
        cluster.restart(standby.component, standby.index)


def test_an_undo_journal_that_cannot_be_written_stops_the_act(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Journal, plain: dict[str, Any]) -> None:
        if plain.get("undo") == "restart":
            raise OSError(28, "No space left on device")
        original(self, plain)

    original = Journal._append
    monkeypatch.setattr(Journal, "_append", full)
    before = processes(ground)
    outcome = bridge.run(load(QUICK), ground, None)
    assert "No space left" in outcome.inconclusive
    assert processes(ground) == before
