"""The bound of a failover, held against a simulation of client-go's leader election."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.lease import LeaseError, LeaseRecord, RetryPeriod, crash_bound, graceful_bound, retry_period, seconds


def takeover(duration: float, retry: float, standbys: int, dice: random.Random, *, released: bool = False) -> float:
    """Seconds from the leader's end to the takeover, by client-go's algorithm: poll, note changes, wait, poll."""
    crash = 1000 + dice.uniform(0, 100 * retry)
    last_renewal = crash - dice.uniform(0, retry)
    taken = []
    for _ in range(standbys):
        now = last_renewal - dice.uniform(0, 2.2 * retry)
        observed = None
        while True:
            now += retry * (1 + 1.2 * dice.random())
            if released and now >= crash:
                break
            if observed is None and now >= last_renewal:
                observed = now
            if observed is not None and now > observed + duration:
                break
        taken.append(now)
    return min(taken) - crash


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 60),
    st.floats(0.1, 5, allow_nan=False),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_no_simulated_crash_leaves_the_bound(duration: int, retry: float, standbys: int, dice: random.Random) -> None:
    bound = crash_bound(duration, RetryPeriod(retry, "given"))
    assert bound.earliest - 1e-6 <= takeover(duration, retry, standbys, dice) <= bound.latest + 1e-6


@settings(deadline=None, max_examples=100)
@given(st.floats(0.1, 5, allow_nan=False), st.integers(1, 5), st.randoms(use_true_random=False))
def test_no_simulated_release_leaves_the_bound(retry: float, standbys: int, dice: random.Random) -> None:
    bound = graceful_bound(15, RetryPeriod(retry, "given"))
    assert bound.earliest <= takeover(15, retry, standbys, dice, released=True) <= bound.latest + 1e-6


def test_the_bound_is_no_wider_than_the_algorithm_reaches() -> None:
    dice = random.Random(1)
    taken = [takeover(15, 2, 1, dice) for _ in range(20_000)]
    bound = crash_bound(15, RetryPeriod(2, "given"))
    assert (bound.earliest, round(bound.latest, 6)) == (13.0, 23.8)
    assert min(taken) < bound.earliest + 1.0
    assert max(taken) > bound.latest - 1.5


def test_most_crashes_take_longer_than_the_target_of_15_s() -> None:
    dice = random.Random(2)
    met = sum(takeover(15, 2, 2, dice) < 15 for _ in range(5_000))
    assert 0.05 < met / 5_000 < 0.25


@pytest.mark.parametrize(
    ("text", "value"), [("2s", 2.0), ("500ms", 0.5), ("1m30s", 90.0), ("1.5s", 1.5), ("1h", 3600.0)]
)
def test_durations_are_read_as_go_writes_them(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "2", "s", "two seconds", "2 s", "0s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(LeaseError):
        seconds(text)


def test_the_retry_period_says_where_it_comes_from(tmp_path: Path) -> None:
    config = tmp_path / "scheduler.yaml"
    config.write_text("leaderElection: {retryPeriod: 4s}\n")
    flag = retry_period(["kube-scheduler", "--leader-elect-retry-period=3s", "--config", str(config)])
    spaced = retry_period(["kube-scheduler", "--leader-elect-retry-period", "3s"])
    file = retry_period(["kube-scheduler", f"--config={config}"])
    default = retry_period(["kube-scheduler", "--secure-port=1"])
    assert [one.seconds for one in (flag, spaced, file, default)] == [3.0, 3.0, 4.0, 2.0]
    assert "flag" in flag.origin
    assert "configuration file" in file.origin
    assert "default" in default.origin


def test_a_lease_that_states_no_duration_is_refused() -> None:
    with pytest.raises(LeaseError, match="leaseDurationSeconds"):
        LeaseRecord.of({"metadata": {"name": "x", "resourceVersion": "1"}, "spec": {"holderIdentity": "a"}})
