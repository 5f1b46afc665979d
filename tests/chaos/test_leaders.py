"""The failover of a leader on a real control plane, and the refusal to act where nobody could take over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos import bridge, judge
from chaos.experiment import load
from chaos.ground import Ground
from fixtures.clusters.embedded.handle import start
from fixtures.readiness import Decided
from reports.words import Verdict
from tests.chaos.chaos_tools import findings_of, left_behind, processes


def test_a_killed_scheduler_is_replaced_and_every_mark_is_there(ground: Ground) -> None:
    outcome = bridge.run(load("scheduler-failover"), ground, None)
    assert (outcome.inconclusive, outcome.deviation) == ("", "")
    failover, fault = outcome.observed.failover, outcome.fault
    assert failover is not None
    assert fault is not None
    assert failover.after is not None
    assert failover.taken is not None
    assert failover.acted is not None
    assert failover.after.holder not in ("", failover.before.holder)
    assert failover.after.transitions == failover.before.transitions + 1
    assert failover.renewed <= failover.taken
    assert fault.sent <= fault.proved == failover.fault < failover.taken
    assert failover.renewals_after_fault == 0
    assert (failover.bound.earliest, round(failover.bound.latest, 1)) == (13.0, 23.8)
    assert "flag" in failover.bound.retry.origin
    assert outcome.observed.displaced == ()
    assert outcome.observed.placed
    assert left_behind(ground) == []


@pytest.fixture
def small() -> Iterator[Ground]:
    cluster = start(members=1, nodes=1)
    try:
        with Ground(cluster.state) as ground:
            yield ground
    finally:
        cluster.stop()


def test_where_nobody_could_take_over_nobody_is_killed(small: Ground) -> None:
    before = processes(small)
    for name in ("controller-manager-failover", "etcd-leader-loss", "api-server-loss"):
        outcome = bridge.run(load(name), small, None)
        assert "have to be left to take over" in outcome.inconclusive
        with pytest.raises(Decided) as decided:
            judge.conclusive([outcome], findings_of("high-availability.controller-manager-failover"))
        assert decided.value.verdict is Verdict.ERROR
    assert processes(small) == before
    assert left_behind(small) == []
