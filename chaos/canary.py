"""The calibrated watch: a canary object that changes four times a second, and how late a watch learns of it.

A time that was read off a watch is too late by the watch's own lag. The canary's lag, from the sending of a patch to
the receipt of its event, is an upper bound of it and is printed as the error bar. Every patch has a sequence number, so
that the canary also shows whether a watch that broke lost an event.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from chaos.stream import Event, MissedError, Stream
from fixtures.api import Api, ApiError
from fixtures.limits import (
    CHAOS_CALL_DEADLINE,
    CHAOS_CANARY_INTERVAL,
    CHAOS_CANARY_SAMPLES,
    CHAOS_PROBE_DEADLINE,
    CHAOS_STEADY_DEADLINE,
)


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of the canary: its number, when it was sent, and the version that the server acknowledged, "" where
    none came.
    """

    number: int
    sent: float
    version: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the watch was, in seconds from a patch's sending to its event's receipt, over `samples` patches."""

    median: float
    longest: float
    samples: int


class Canary:
    """Patches a ConfigMap of its own each CHAOS_CANARY_INTERVAL seconds and watches it, each through servers that fail
    over.
    """

    def __init__(
        self, writers: Sequence[Api], watchers: Sequence[Api], namespace: str, labels: dict[str, str], name: str
    ) -> None:
        """The ConfigMap's name and labels; the first of `writers` and of `watchers` are used until they fail."""
        self._writers = writers
        self._metadata = {"name": name, "labels": labels}
        self._collection = f"/api/v1/namespaces/{namespace}/configmaps"
        self.path = f"{self._collection}/{name}"
        self.stream = Stream(watchers, self._collection, {"fieldSelector": f"metadata.name={name}"})
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)
        self._patches: list[Patch] = []

    def start(self) -> None:
        """Create the ConfigMap, watch it and begin to patch it. Raises ApiError."""
        self._writers[0].create(self._collection, {"metadata": self._metadata, "data": {"number": "0"}})
        self.stream.start()
        self._thread.start()

    def halt(self) -> None:
        """Patch no more, wait for the patch under way, and go on watching. Can be called twice, and before `start`."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def stop(self) -> None:
        """Patch and watch no more. Can be called twice, and before `start`."""
        self.halt()
        self.stream.stop()

    @property
    def patches(self) -> tuple[Patch, ...]:
        """All patches so far, the unacknowledged ones too."""
        return tuple(self._patches)

    def calibrated(self) -> Lag:
        """Wait for enough samples and give the lag. Raises MissedError where the watch brings too few in time."""
        deadline = time.monotonic() + CHAOS_STEADY_DEADLINE.value
        enough = CHAOS_CANARY_SAMPLES.value
        self.stream.until(
            lambda events: len(self._lags(events)) >= enough or None, deadline, f"{enough:g} samples of the watch's lag"
        )
        return self.lag()

    def lag(self, until: float | None = None) -> Lag:
        """The lag over the acknowledged patches that were sent before `until` (monotonic seconds).

        Raises MissedError where they are fewer than CHAOS_CANARY_SAMPLES.
        """
        lags = self._lags(self.stream.events, until)
        if len(lags) < CHAOS_CANARY_SAMPLES.value:
            raise MissedError(
                f"the canary gave {len(lags)} samples of the watch's lag, {CHAOS_CANARY_SAMPLES.value:g} are needed"
            )
        return Lag(median(lags), max(lags), len(lags))

    def _lags(self, events: Sequence[Event], until: float | None = None) -> list[float]:
        seen: dict[int, float] = {}
        for event in events:
            # Others patch the canary too; the first event that carries a number is the one that was timed.
            seen.setdefault(number(event), event.at)
        patches = [patch for patch in self.patches if patch.version and (until is None or patch.sent < until)]
        return [seen[patch.number] - patch.sent for patch in patches if patch.number in seen]

    def lost(self) -> tuple[int, ...]:
        """The numbers of acknowledged patches whose events the watch never brought; call it after `halt`.

        Waits for events under way, at most CHAOS_CALL_DEADLINE.
        """
        acknowledged = {patch.version: patch.number for patch in self.patches if patch.version}

        def missing(events: Sequence[Event]) -> list[int]:
            seen = {event.version for event in events}
            return [number for version, number in acknowledged.items() if version not in seen]

        try:
            self.stream.until(
                lambda events: None if missing(events) else True,
                time.monotonic() + CHAOS_CALL_DEADLINE.value,
                "every acknowledged patch",
            )
        except MissedError:
            return tuple(missing(self.stream.events))
        return ()

    def _run(self) -> None:
        begin, tick, writer = time.monotonic(), 0, 0
        while not self._stopped.wait(max(0.0, begin + tick * CHAOS_CANARY_INTERVAL.value - time.monotonic())):
            sent = time.monotonic()
            patch = {"data": {"number": str(len(self._patches) + 1)}}
            try:
                stored = self._writers[writer].patch(self.path, patch, timeout=CHAOS_PROBE_DEADLINE.value)
                version = str(stored["metadata"]["resourceVersion"])
            except ApiError:
                # Recorded as unacknowledged: nothing is claimed about it, and the next patch asks the next server.
                version, writer = "", (writer + 1) % len(self._writers)
            self._patches.append(Patch(len(self._patches) + 1, sent, version))
            tick = max(tick + 1, int((time.monotonic() - begin) / CHAOS_CANARY_INTERVAL.value))


def number(event: Event) -> int:
    """The sequence number that an event of the canary carries."""
    return int(event.object.get("data", {}).get("number", 0))
