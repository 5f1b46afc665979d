"""The instruments on a real API server: the stream, the calibrated canary, the Lease watch, the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from chaos.canary import Canary, Patch
from chaos.failover import LeaseWatch
from chaos.ground import Ground
from chaos.ledger import Ledger, total
from chaos.stream import MissedError, Stream
from chaos.trial import AbortedError
from fixtures.api import Api

PATIENCE = 10.0


@pytest.fixture
def api(ground: Ground) -> Api:
    return ground.servers.all[0].api


@pytest.fixture
def maps(ground: Ground) -> str:
    return f"/api/v1/namespaces/{ground.namespace}/configmaps"


def soon() -> float:
    return time.monotonic() + PATIENCE


def test_a_stream_brings_what_was_there_and_what_comes(ground: Ground, api: Api, maps: str) -> None:
    api.create(maps, {"metadata": {"name": "before", "labels": {"t": "stream"}}})
    stream = Stream(ground.servers.apis(), maps, {"labelSelector": "t=stream"})
    stream.start()
    api.create(maps, {"metadata": {"name": "after", "labels": {"t": "stream"}}})
    api.delete(f"{maps}/before")
    wanted = [("LISTED", "before"), ("ADDED", "after"), ("DELETED", "before")]
    stream.until(lambda events: [(e.type, e.name) for e in events] == wanted or None, soon(), "three events")
    stream.stop()
    times = [event.at for event in stream.events]
    assert times == sorted(times)


def test_what_does_not_come_is_missed_and_not_assumed(ground: Ground, maps: str) -> None:
    stream = Stream(ground.servers.apis(), maps, {"labelSelector": "t=nothing"})
    stream.start()
    with pytest.raises(MissedError, match="a miracle"):
        stream.until(lambda events: events or None, time.monotonic() + 0.2, "a miracle")
    stream.stop()


@pytest.fixture
def canary(ground: Ground) -> Iterator[Canary]:
    canary = Canary(ground.servers.apis(), ground.servers.apis(), ground.namespace, {"t": "canary"}, "canary")
    canary.start()
    yield canary
    canary.stop()
    ground.servers.all[0].api.delete(canary.path)


def test_the_canary_measures_the_watchs_lag(canary: Canary) -> None:
    lag = canary.calibrated()
    assert 0 < lag.median <= lag.longest
    assert lag.samples >= 4


def test_too_few_samples_are_no_calibration(canary: Canary) -> None:
    with pytest.raises(MissedError, match="0 samples"):
        canary.lag(until=0.0)


def test_a_watch_that_brought_every_patch_lost_none_and_one_that_did_not_is_found_out(canary: Canary) -> None:
    canary.calibrated()
    canary.halt()
    assert canary.lost() == ()
    # A patch that the server acknowledged with a version that the watch never showed.
    canary._patches.append(Patch(99, time.monotonic(), "no-such-version"))
    assert canary.lost() == (99,)


def lease(holder: str, transitions: int, renewed: str) -> dict[str, object]:
    spec = {"holderIdentity": holder, "leaseTransitions": transitions, "leaseDurationSeconds": 15, "renewTime": renewed}
    return {"metadata": {"name": "elected"}, "spec": spec}


def test_only_another_holder_with_one_more_transition_is_a_takeover(ground: Ground, api: Api) -> None:
    collection = f"/apis/coordination.k8s.io/v1/namespaces/{ground.namespace}/leases"
    path = f"{collection}/elected"
    api.create(collection, lease("old", 3, "2026-01-01T00:00:00.000000Z"))
    watch = LeaseWatch(ground.servers.apis(), ground.servers.all[-1].api, "elected", ground.namespace)
    watch.start()
    before = watch.latest()
    assert (before.holder, before.transitions, before.duration) == ("old", 3, 15)
    for changed in (
        lease("old", 3, "2026-01-01T00:00:02.000000Z"),  # renewed
        lease("new", 3, "2026-01-01T00:00:03.000000Z"),  # a holder written by hand, and no election
        lease("", 4, "2026-01-01T00:00:04.000000Z"),  # released
        lease("old", 5, "2026-01-01T00:00:05.000000Z"),  # the old holder again
    ):
        api.patch(path, changed)
    assert watch.takeover(before, time.monotonic() + 0.5, lambda: None) is None
    api.patch(path, lease("new", 6, "2026-01-01T00:00:06.000000Z"))
    seen = watch.takeover(before, soon(), lambda: None)
    watch.stop()
    assert seen is not None
    assert (seen.record.holder, seen.record.transitions) == ("new", 6)
    assert len({sight.record.version for sight in watch.sights()}) == len(watch.sights()) == 6


def test_the_wait_for_a_takeover_can_be_stopped(ground: Ground, api: Api) -> None:
    collection = f"/apis/coordination.k8s.io/v1/namespaces/{ground.namespace}/leases"
    body = lease("old", 0, "2026-01-01T00:00:00.000000Z")
    api.create(collection, {**body, "metadata": {"name": "stopped"}})
    watch = LeaseWatch(ground.servers.apis(), api, "stopped", ground.namespace)
    watch.start()

    def stop() -> None:
        raise AbortedError("enough")

    with pytest.raises(AbortedError, match="enough"):
        watch.takeover(watch.latest(), soon(), stop)
    watch.stop()


def test_a_lease_that_is_not_there_elects_nobody(ground: Ground, api: Api) -> None:
    watch = LeaseWatch(ground.servers.apis(), api, "no-such-lease", ground.namespace)
    watch.start()
    with pytest.raises(MissedError, match="nothing elects a leader"):
        watch.latest()
    watch.stop()


def test_the_ledger_finds_lost_and_changed_writes(ground: Ground, api: Api, maps: str) -> None:
    ledgers = [Ledger(api, ground.namespace, {"t": "ledger"}, name) for name in ("a", "b")]
    for ledger in ledgers:
        assert [ledger(soon()) for _ in range(4)] == [None] * 4
    assert total(ledger.balance(api) for ledger in ledgers).lost == ()
    api.delete(f"{maps}/a-2")
    api.patch(f"{maps}/b-3", {"data": {"entry": "something else"}})
    api.delete(f"{maps}/b-4")
    api.create(maps, {"metadata": {"name": "b-4", "labels": {"kubeworthy/ledger": "b"}}, "data": {"entry": "b-4"}})
    balance = total(ledger.balance(api) for ledger in ledgers)
    assert balance.acknowledged == 8
    assert balance.lost == ("a-2", "b-3", "b-4")
    assert balance.unacknowledged == 0


def test_a_write_without_an_answer_is_counted_and_never_called_lost(ground: Ground, api: Api) -> None:
    ledger = Ledger(api, ground.namespace, {"t": "ledger"}, "slow")
    assert ledger(time.monotonic() - 1) is not None
    balance = ledger.balance(api)
    assert (balance.acknowledged, balance.lost, balance.unacknowledged) == (0, (), 1)
