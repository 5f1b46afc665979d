"""The timeline of an experiment, in seconds since the fault was proved, as the reports draw it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chaos.outage import Window

DIGITS = 3
"""Milliseconds; the watch's lag is larger."""


@dataclass(slots=True)
class Timeline:
    """Events, windows and bounds of one experiment; times go in as monotonic seconds, `zero` is when the fault was
    proved and `wall` that moment in UTC.
    """

    experiment: str
    title: str
    zero: float
    error_bar: float
    wall: datetime
    events: list[dict[str, Any]] = field(default_factory=list)
    windows: list[dict[str, Any]] = field(default_factory=list)
    bounds: list[dict[str, Any]] = field(default_factory=list)

    def event(self, at: float, lane: str, label: str) -> None:
        """Something that happened at one moment."""
        self.events.append({"t": self._since(at), "lane": lane, "label": label})

    def window(self, lane: str, start: float, end: float, kind: str) -> None:
        """A span in which something was away; `kind` is `outage` or `leaderless`."""
        self.windows.append({"lane": lane, "start": self._since(start), "end": self._since(end), "kind": kind})

    def outages(self, lane: str, windows: Sequence[Window]) -> None:
        """The windows of one series of probes."""
        for window in windows:
            self.window(lane, window.start, window.end, "outage")

    def bound(self, seconds: float, label: str) -> None:
        """A bound or a target, in seconds since the fault."""
        self.bounds.append({"t": round(seconds, DIGITS), "label": label})

    def as_json(self) -> dict[str, Any]:
        """The timeline as plain JSON values, events and windows in the order of time."""
        return {
            "experiment": self.experiment,
            "title": self.title,
            "t0": f"{self.wall:%Y-%m-%dT%H:%M:%S.%fZ}",
            "unit": "s",
            "events": sorted(self.events, key=lambda event: event["t"]),
            "windows": sorted(self.windows, key=lambda window: window["start"]),
            "bounds": self.bounds,
            "error_bar_s": round(self.error_bar, DIGITS),
        }

    def write(self, path: Path) -> None:
        """Write it as JSON. Raises OSError."""
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")

    def _since(self, at: float) -> float:
        return round(at - self.zero, DIGITS)
