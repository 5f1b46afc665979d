"""Outage windows from timed probes: how long something was away at least, and how long at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from fixtures.limits import CHAOS_RECOVERED_AFTER


class Failure(StrEnum):
    """Why a probe failed."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TIMEOUT = "timeout"
    TLS = "TLS"
    THROTTLED = "429"
    SERVER = "5xx"
    STATUS = "other status"
    BODY = "wrong body"


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe: when it was due, handed to a sender and ended (monotonic seconds), and why it failed."""

    due: float
    sent: float
    ended: float
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """One outage.

    `lower` is certain: from the first to the last failed probe's due time. `upper` holds the whole outage: from the due
    time of the last success before it to the end of the first of the successes that ended it. Both ends are monotonic
    seconds; an outage that never ended ends at the last sample and is not `closed`.
    """

    start: float
    end: float
    first_failure: float
    last_failure: float
    closed: bool
    failures: tuple[tuple[Failure, int], ...]

    @property
    def lower(self) -> float:
        """Seconds that the outage lasted at least."""
        return self.last_failure - self.first_failure

    @property
    def upper(self) -> float:
        """Seconds that the outage lasted at most; only a lower bound, too, for a window that is not closed."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Outage:
    """All windows of one series of probes.

    `blind` is the longest outage in seconds that no probe can have seen, since it fits between the sending of one
    success and the end of the next: it grows when probes are sent late, and when the server stalls without failing one.
    `flaps` counts successes inside a window, `late` the probes sent too late, and `slowest` is the longest time in
    seconds from a successful probe's due time to its end: a stall shorter than the deadline fails no probe, but shows
    there.
    """

    windows: tuple[Window, ...]
    blind: float
    probes: int
    late: int
    flaps: int
    slowest: float

    @property
    def lower(self) -> float:
        """Seconds of outage at least: the error budget that was certainly spent."""
        return sum(window.lower for window in self.windows)

    @property
    def upper(self) -> float:
        """Seconds of outage at most."""
        return sum(window.upper for window in self.windows)

    @property
    def closed(self) -> bool:
        """Whether every outage had ended when the probes stopped."""
        return all(window.closed for window in self.windows)

    @property
    def failures(self) -> dict[str, int]:
        """How many probes failed in which way."""
        total: Counter[str] = Counter()
        for window in self.windows:
            total.update({str(failure): count for failure, count in window.failures})
        return dict(total)


def outage(
    samples: Sequence[Sample],
    late_after: float,
    recovered_after: int = int(CHAOS_RECOVERED_AFTER.value),
    until: float | None = None,
) -> Outage:
    """Fold samples into windows; a window ends at the first of `recovered_after` successes in a row.

    `late_after` is the delay in seconds after which a probe counts as sent late. With `until` (monotonic seconds) only
    windows that began before it are told, each to its own end. Raises ValueError for no samples at
    all, since no probe is no proof of an outage, nor of none.
    """
    if not samples:
        raise ValueError("no probe was sent, so nothing is known about outages")
    ordered = sorted(samples, key=lambda sample: sample.due)
    windows: list[Window] = []
    flaps = position = 0
    while position < len(ordered):
        if ordered[position].failure is None:
            position += 1
            continue
        if until is not None and ordered[position].due >= until:
            break
        window, position, flapped = _window(ordered, position, recovered_after)
        windows.append(window)
        flaps += flapped
    late = sum(sample.sent - sample.due > late_after for sample in ordered)
    slowest = max((sample.ended - sample.due for sample in ordered if sample.failure is None), default=0.0)
    told = [sample for sample in ordered if until is None or sample.due < until]
    pairs = [(one, other) for one, other in pairwise(told) if one.failure is other.failure is None]
    blind = max((other.ended - one.sent for one, other in pairs), default=0.0)
    return Outage(tuple(windows), blind, len(ordered), late, flaps, slowest)


def _window(ordered: list[Sample], first: int, recovered_after: int) -> tuple[Window, int, int]:
    last, position, run, flaps = first, first, 0, 0
    failures: Counter[Failure] = Counter()
    while position < len(ordered) and run < recovered_after:
        failure = ordered[position].failure
        if failure is None:
            run += 1
        else:
            failures[failure] += 1
            flaps += run
            last, run = position, 0
        position += 1
    # A series that stops before enough successes came has not shown that the outage is over.
    closed = run == recovered_after
    end = ordered[last + 1].ended if closed else max(sample.ended for sample in ordered[first:position])
    start = ordered[first - 1].due if first else ordered[first].due
    window = Window(start, end, ordered[first].due, ordered[last].due, closed, tuple(sorted(failures.items())))
    return window, position, flaps
