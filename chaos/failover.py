"""One leader's failover: its marks on one monotonic clock, the bound it is held to, and the verdict over both.

Marks: t0 the leader's process was proved gone, t1 its last renewal was seen, t2 the Lease was seen with another holder
and one more transition, t3 the first work of the new leader was seen. A watch and a poll of each 100 ms look at the
Lease, the earlier wins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from chaos.canary import Lag
from chaos.lease import Bound, LeaseRecord
from chaos.stream import Event, MissedError, Stream
from fixtures.api import Api, ApiError
from fixtures.limits import CHAOS_CALL_DEADLINE, CHAOS_POLL_INTERVAL

Judgement = Literal["met", "missed", "undecided"]


@dataclass(frozen=True, slots=True)
class Sight:
    """One version of the Lease, when it was first seen, and by which of `watch` and `poll`."""

    at: float
    record: LeaseRecord
    source: str


class LeaseWatch:
    """Sees every version of one leader-election Lease by watch, and the newest each 100 ms by poll."""

    def __init__(self, watchers: Sequence[Api], poller: Api, name: str, namespace: str = "kube-system") -> None:
        collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = f"{collection}/{name}"
        self._poller = poller
        self._stream = Stream(watchers, collection, {"fieldSelector": f"metadata.name={name}"})
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._polled: list[Sight] = []

    def start(self) -> None:
        """Begin to watch and to poll. Raises ApiError."""
        self._stream.start()
        threading.Thread(target=self._poll, name="lease poll", daemon=True).start()

    def stop(self) -> None:
        """See no more."""
        self._stopped.set()
        self._stream.stop()

    def sights(self) -> list[Sight]:
        """Every version of the Lease at its earliest sight, in the order of time. Raises LeaseError for a Lease that
        elects nobody.
        """
        earliest: dict[str, Sight] = {}
        for sight in (*(_sight(event) for event in self._stream.events), *self._polled):
            known = earliest.get(sight.record.version)
            if known is None or sight.at < known.at:
                earliest[sight.record.version] = sight
        return sorted(earliest.values(), key=lambda sight: sight.at)

    def latest(self) -> LeaseRecord:
        """The Lease as last seen. Raises MissedError where there is none."""
        sights = self.sights()
        if not sights:
            raise MissedError(f"there is no Lease {self._path}, so nothing elects a leader")
        return sights[-1].record

    def takeover(self, before: LeaseRecord, deadline: float, go_on: Callable[[], None]) -> Sight | None:
        """Wait for another holder with more transitions than `before`; None if there is none at `deadline` (monotonic
        seconds).

        `go_on` is called meanwhile and may raise to end the wait.
        """
        while time.monotonic() < deadline:
            go_on()
            for sight in self.sights():
                held = sight.record.holder not in ("", before.holder)
                if held and sight.record.transitions > before.transitions:
                    return sight
            self._stopped.wait(CHAOS_POLL_INTERVAL.value)
        return None

    def _poll(self) -> None:
        while not self._stopped.wait(CHAOS_POLL_INTERVAL.value):
            try:
                found = self._poller.get(self._path, timeout=CHAOS_CALL_DEADLINE.value)
            except ApiError:
                continue  # the watch is the main source; a failed poll only leaves it alone for one turn
            self._polled.append(_sight(Event(time.monotonic(), "poll", found)))


@dataclass(frozen=True, slots=True)
class Failover:
    """One failover, in monotonic seconds; `taken` and `acted` are None where that never came in time."""

    component: str
    before: LeaseRecord
    after: LeaseRecord | None
    bound: Bound
    lag: Lag
    fault: float
    renewed: float
    taken: float | None
    acted: float | None
    source: str
    renewals_after_fault: int

    @property
    def seconds(self) -> float | None:
        """From the fault to the takeover (t2 - t0)."""
        return None if self.taken is None else self.taken - self.fault

    @property
    def to_first_action(self) -> float | None:
        """From the fault to the new leader's first work (t3 - t0)."""
        return None if self.acted is None else self.acted - self.fault

    @property
    def leaderless(self) -> float | None:
        """From the dead leader's last renewal to the takeover (t2 - t1)."""
        return None if self.taken is None else self.taken - self.renewed

    def with_action(self, seen: float) -> Failover:
        """The same failover, with the sight of the new leader's first work (monotonic seconds)."""
        return replace(self, acted=seen)

    def within(self, limit: float) -> Judgement:
        """Whether the takeover came within `limit` seconds of the fault, the watch's lag taken into account.

        What a watch saw happened earlier, by up to the lag: a time within the limit is met for certain, one beyond it
        by more than the lag missed for certain.
        """
        if self.seconds is None:
            return "missed"
        if self.seconds <= limit:
            return "met"
        return "missed" if self.seconds - self.lag.longest > limit else "undecided"

    @property
    def too_early(self) -> bool:
        """Whether the takeover came before a crash allows, so that what was measured was no crash of the leader."""
        return self.seconds is not None and self.seconds < self.bound.earliest - self.lag.longest

    def as_json(self) -> dict[str, Any]:
        """The figures, rounded to milliseconds, as the experiment's journal keeps them."""
        figures = {
            "takeover_s": self.seconds,
            "first_action_s": self.to_first_action,
            "leaderless_s": self.leaderless,
            "error_bar_s": self.lag.longest,
            "watch_lag_median_s": self.lag.median,
        }
        return {
            "component": self.component,
            "from": self.before.holder,
            "to": self.after.holder if self.after else None,
            "transitions": [self.before.transitions, self.after.transitions if self.after else None],
            "bound": str(self.bound),
            "bound_s": [round(self.bound.earliest, 3), round(self.bound.latest, 3)],
            "seen_by": self.source,
            **{name: None if value is None else round(value, 3) for name, value in figures.items()},
        }


def _sight(event: Event) -> Sight:
    source = "poll" if event.type == "poll" else "watch"
    return Sight(event.at, LeaseRecord.of(event.object), source)
