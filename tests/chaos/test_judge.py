"""The judgement of observed figures: held for certain, broken for certain, or undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chaos import judge
from chaos.bridge import Outcome
from chaos.canary import Lag
from chaos.experiment import load
from chaos.failover import Failover
from chaos.faults import Fault
from chaos.lease import LeaseRecord, RetryPeriod, crash_bound
from chaos.ledger import Balance, Ledger
from chaos.outage import Failure, Sample
from chaos.prober import Prober
from chaos.trial import CLIENT, Observed
from fixtures.clusters.embedded.state import Member
from fixtures.limits import CHAOS_FAILOVER_TARGET, CHAOS_READ_WINDOW, CHAOS_WRITE_RESUME
from fixtures.policy import Policy
from fixtures.readiness import Decided, Findings
from reports.words import Verdict
from tests.chaos.chaos_tools import findings_of

T0 = 1000.0
LAG = Lag(0.01, 0.1, 60)
BOUND = crash_bound(15, RetryPeriod(2, "given"))
VICTIM = "127.0.0.1:6443"
PASS, FAIL, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.ERROR


def record(holder: str, transitions: int) -> LeaseRecord:
    return LeaseRecord(holder, 15, transitions, "2026-01-01T00:00:00Z", f"{holder}{transitions}")


def failover(seconds: float | None, action: float | None = 1.0, **changed: Any) -> Failover:
    taken = None if seconds is None else T0 + seconds
    acted = None if taken is None or action is None else taken + action
    made = Failover("kube-scheduler", record("a", 0), record("b", 1), BOUND, LAG, T0, T0 - 1, taken, acted, "watch", 0)
    return replace(made, **changed)


def outcome(observed: Observed, *, inconclusive: str = "", deviation: str = "") -> Outcome:
    fault = Fault(Member("kube-apiserver", 0, 7, 7, f"https://{VICTIM}", None, ""), "SIGKILL", T0, T0)
    return Outcome(load("api-server-loss"), inconclusive, deviation, fault, observed, ("journals/x.json",))


Judge = Callable[[Sequence[Outcome], Findings, Policy], None]


def verdict(decide: Judge, *outcomes: Outcome, policy: Policy | None = None) -> Verdict:
    findings = findings_of("high-availability.scheduler-failover")
    try:
        judge.conclusive(outcomes, findings)
        decide(outcomes, findings, policy or Policy())
    except Decided as decided:
        return decided.verdict
    return findings.verdict()[0]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (failover(17.0), PASS),
        (failover(23.8), PASS),
        (failover(23.85), ERROR),  # within the error bar of the bound
        (failover(24.5), FAIL),
        (failover(None), FAIL),  # nobody took over
        (failover(17.0, action=None), FAIL),  # a new leader that does nothing
        (failover(17.0, action=5.5), FAIL),
        (failover(12.95), PASS),  # the lag excuses it
        (failover(9.0), ERROR),  # sooner than a crash allows
        (failover(17.0, renewals_after_fault=1), ERROR),  # what was killed did not lead
        (None, ERROR),
    ],
)
def test_a_failover_is_held_to_its_bound(measured: Failover | None, expected: Verdict) -> None:
    assert verdict(judge.failover_within_bound, outcome(Observed(failover=measured))) is expected


def test_pods_that_lost_their_node_fail_it() -> None:
    moved = Observed(failover=failover(17.0), displaced=("uid-1",))
    assert verdict(judge.failover_within_bound, outcome(moved)) is FAIL


@pytest.mark.parametrize(
    ("seconds", "expected"), [(13.5, PASS), (15.0, PASS), (15.05, FAIL), (16.2, FAIL), (None, FAIL), (9.0, ERROR)]
)
def test_the_target_is_met_or_missed_honestly(seconds: float | None, expected: Verdict) -> None:
    assert verdict(judge.failover_within_target, outcome(Observed(failover=failover(seconds)))) is expected


def test_the_target_can_be_set_by_the_policy_file() -> None:
    generous = Policy(thresholds={CHAOS_FAILOVER_TARGET.name: 20})
    measured = outcome(Observed(failover=failover(16.2)))
    assert verdict(judge.failover_within_target, measured, policy=generous) is PASS


def test_of_several_runs_every_one_counts_and_the_share_has_an_interval() -> None:
    outcomes = [outcome(Observed(failover=failover(seconds))) for seconds in (13.5, 14.0, 17.0)]
    findings = findings_of("high-availability.scheduler-failover-target")
    judge.failover_within_target(outcomes, findings, Policy())
    assert findings.verdict()[0] is FAIL
    figures = {measure.name: measure.value for measure in findings.measures}
    share = "kube-scheduler takeovers within the target"
    assert figures[share] == pytest.approx(2 / 3, abs=1e-3)
    assert figures[f"{share}, 95 % interval from"] == pytest.approx(0.0943, abs=1e-3)
    assert figures[f"{share}, 95 % interval to"] == pytest.approx(0.9916, abs=1e-3)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (outcome(Observed(failover=failover(17.0)), inconclusive="the fault was not proved"), ERROR),
        (outcome(Observed(failover=failover(17.0)), deviation="no Pod gets a node"), FAIL),
    ],
)
def test_a_doubtful_run_is_an_error_and_a_lost_steady_state_a_failure(made: Outcome, expected: Verdict) -> None:
    assert verdict(judge.failover_within_bound, made) is expected


def test_no_run_at_all_is_an_error() -> None:
    assert verdict(judge.failover_within_bound) is ERROR


def test_the_evidence_is_attached_even_to_a_doubtful_run() -> None:
    findings = findings_of("high-availability.scheduler-failover")
    with pytest.raises(Decided):
        judge.conclusive([outcome(Observed(), inconclusive="x")], findings)
    assert findings.evidence == ["journals/x.json"]


class Recorded(Prober):
    """A prober that has probed each 100 ms for 20 s, and failed between two moments."""

    def __init__(self, begin: float = 0.0, end: float = 0.0, *, gap: float = 0.0, cut: bool = False) -> None:
        times = [T0 - 5 + number / 10 for number in range(200 if not cut else 80)]
        times = [due for due in times if not T0 + 8 <= due < T0 + 8 + gap]
        self._made = tuple(
            Sample(
                due,
                due,
                due + 0.01,
                Failure.REFUSED if T0 + begin <= due < T0 + end else None,
            )
            for due in times
        )
        self._interval = 0.1

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self._made


def servers(**changed: Any) -> Observed:
    probers: dict[str, Prober] = {
        CLIENT: Recorded(),
        f"new connections to {VICTIM}": Recorded(0, 5),
        "new connections to 127.0.0.2:6443": Recorded(),
    }
    made = Observed(probers=probers, watch_breaks=1, lost_events=())
    made.probers |= changed.pop("probers", {})
    return replace(made, **changed)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (servers(), PASS),
        (servers(probers={CLIENT: Recorded(0, 0.5)}), PASS),
        (servers(probers={CLIENT: Recorded(0, 3)}), FAIL),
        (servers(probers={CLIENT: Recorded(0, 1.0)}), ERROR),  # the limit lies between the window's two ends
        (servers(probers={CLIENT: Recorded(0, 20, cut=True)}), FAIL),  # never over
        (servers(probers={CLIENT: Recorded(6, 9)}, undo_began=T0 + 5), PASS),  # while the server starts again
        (servers(probers={CLIENT: Recorded(4, 9)}, undo_began=T0 + 5), FAIL),  # began before that
        (servers(probers={"new connections to 127.0.0.2:6443": Recorded(0, 3)}), FAIL),
        (servers(probers={f"new connections to {VICTIM}": Recorded()}), ERROR),  # the fault did not reach it
        (servers(probers={CLIENT: Recorded(gap=2)}), ERROR),  # an outage might not have been seen
        (servers(probers={CLIENT: Recorded(gap=0.5)}), PASS),
        (servers(watch_breaks=0), ERROR),
        (servers(lost_events=None), ERROR),
        (servers(lost_events=(7,)), FAIL),
    ],
)
def test_the_loss_of_an_api_server_is_judged_by_its_clients(observed: Observed, expected: Verdict) -> None:
    assert CHAOS_READ_WINDOW.value == 1
    assert verdict(judge.clients_survive, outcome(observed)) is expected


LANE = "writes through 127.0.0.2:6443"


def writes(prober: Recorded | None = None, **changed: Any) -> Observed:
    made = Observed(
        probers={CLIENT: Recorded(), LANE: prober or Recorded(0, 1.5)},
        ledgers={LANE: Ledger.__new__(Ledger)},
        balance=Balance(50, (), 7, 1),
        new_leader=("etcd 1", T0 + 1.2),
    )
    return replace(made, **changed)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (writes(), PASS),
        (writes(Recorded()), PASS),
        (writes(Recorded(0, 7)), FAIL),
        (writes(Recorded(0, 5.0)), ERROR),
        (writes(Recorded(0, 20, cut=True)), FAIL),
        (writes(balance=Balance(50, ("ledger-1",), 0, 0)), FAIL),
        (writes(balance=Balance(0, (), 50, 0)), ERROR),  # nothing was acknowledged
        (writes(balance=None), ERROR),
        (writes(new_leader=None), FAIL),
        (writes(Recorded(0, 1.5, gap=6)), ERROR),
        (writes(Recorded(0, 1.5, gap=2)), PASS),
    ],
)
def test_the_loss_of_the_etcd_leader_is_judged_by_writes(observed: Observed, expected: Verdict) -> None:
    assert CHAOS_WRITE_RESUME.value == 5
    assert verdict(judge.writes_survive, outcome(observed)) is expected
