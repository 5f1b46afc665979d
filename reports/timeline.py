"""The picture of an experiment's timeline, drawn as SVG from `journals/<experiment>.timeline.json`.

Horizontal positions are percentages and texts have their own size, so that the picture fits a phone without shrinking its
words. Events carry numbers; the list that explains them (`Timeline.events`) is the picture's text alternative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

LANE_LABEL = 22
LEVEL = 22
BOUND_ROW = 18
AXIS = 30
MARKER_GAP = 6.5
"""The least distance between two numbers on one level, in percent: two markers of 20 px on a picture of 320 px."""
WIDTH_ALONE = 960
"""The width, in pixels, of a picture that stands alone."""

STYLE = """\
.tl text{font:13px system-ui,sans-serif;fill:#2b2a27}
.tl text{paint-order:stroke;stroke:#fbfaf7;stroke-width:4px;stroke-linejoin:round}.tl .tl-dim{fill:#5d5a52;font-size:12px}
.tl .tl-lane{font-weight:600}.tl line{stroke:#8d897e;stroke-width:1}.tl .tl-track{stroke:#d5d0c4;stroke-width:6}
.tl .tl-grid{stroke:#e6e1d6}.tl .tl-zero{stroke:#2b2a27;stroke-width:1.5}
.tl .tl-bound{stroke:#1d4f91;stroke-dasharray:5 4;stroke-width:1.5}.tl .tl-bound-label{fill:#1d4f91}
.tl .tl-outage{fill:#b3372f}.tl .tl-leaderless{fill:#c98a1b}
.tl circle{fill:#fbfaf7;stroke:#2b2a27;stroke-width:1.5}.tl .tl-number{stroke:none;font-size:11px;font-weight:600;text-anchor:middle}
"""
STYLE_DARK = """\
.tl text{fill:#e6e3dc;stroke:#17181a}.tl .tl-dim{fill:#aaa69b}.tl line{stroke:#6d6a62}.tl .tl-track{stroke:#3a3a3c}
.tl .tl-grid{stroke:#2b2b2e}.tl .tl-zero{stroke:#e6e3dc}.tl .tl-bound{stroke:#8ab4f0}.tl .tl-bound-label{fill:#8ab4f0}
.tl .tl-outage{fill:#e0736b}.tl .tl-leaderless{fill:#dba94a}.tl circle{fill:#17181a;stroke:#e6e3dc}
"""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, `t` seconds after the fault."""

    t: float
    lane: str
    label: str


@dataclass(frozen=True, slots=True)
class Window:
    """A span, in seconds after the fault, in which something was away; `kind` is `outage` or `leaderless`."""

    lane: str
    start: float
    end: float
    kind: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened in one experiment, in seconds since its fault was proved; events stand in the order of time."""

    experiment: str
    title: str
    events: tuple[Event, ...]
    windows: tuple[Window, ...]
    bounds: tuple[tuple[float, str], ...]
    error_bar: float

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Timeline:
        """Read a timeline file. Raises KeyError, TypeError or ValueError for something else."""
        events = [Event(float(each["t"]), str(each["lane"]), str(each["label"])) for each in plain["events"]]
        windows = [
            Window(str(each["lane"]), float(each["start"]), float(each["end"]), str(each["kind"]))
            for each in plain["windows"]
        ]
        if wrong := [window.kind for window in windows if window.kind not in ("outage", "leaderless")]:
            raise ValueError(f"a window is of the unknown kind {wrong[0]!r}")
        return cls(
            experiment=str(plain["experiment"]),
            title=str(plain.get("title") or plain["experiment"]),
            events=tuple(sorted(events, key=lambda event: event.t)),
            windows=tuple(sorted(windows, key=lambda window: (window.start, window.end))),
            bounds=tuple(sorted((float(each["t"]), str(each["label"])) for each in plain["bounds"])),
            error_bar=float(plain["error_bar_s"]),
        )

    @property
    def lanes(self) -> list[str]:
        """The lanes, in the order in which something first happens in them."""
        first: dict[str, float] = {}
        for lane, moment in [(event.lane, event.t) for event in self.events] + [
            (w.lane, w.start) for w in self.windows
        ]:
            first[lane] = min(moment, first.get(lane, moment))
        return sorted(first, key=lambda lane: (first[lane], lane))

    def summary(self) -> str:
        """The windows in words: which lane was away for how long."""
        spans = [f"{window.lane}: {window.kind} for {_seconds(window.end - window.start)}" for window in self.windows]
        bar = f", each ± {_seconds(self.error_bar)}" if self.error_bar and spans else ""
        return ("; ".join(spans) or "Nothing was away") + bar


class _Scale:
    """From seconds to percent of the width."""

    def __init__(self, timeline: Timeline) -> None:
        moments = [0.0, *(event.t for event in timeline.events), *(moment for moment, _ in timeline.bounds)]
        moments += [moment for window in timeline.windows for moment in (window.start, window.end)]
        self.least, self.most = min(moments), max(moments)
        margin = (self.most - self.least or 1) * 0.04
        self.least, self.most = self.least - margin, self.most + margin

    def __call__(self, moment: float) -> float:
        return (moment - self.least) / (self.most - self.least) * 100

    def ticks(self) -> Iterator[float]:
        span = self.most - self.least
        step = next(
            step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5) if span / (step * 10.0**power) <= 8
        )
        tick = -(-self.least // step) * step
        while tick <= self.most:
            yield round(tick, 6) + 0.0  # never minus nought
            tick += step


def draw(timeline: Timeline, *, alone: bool = False) -> str:
    """The picture. `alone` makes it a file of its own, with colours, a background and the list of events below."""
    scale = _Scale(timeline)
    top = BOUND_ROW * max(1, len(timeline.bounds)) + 6
    body: list[str] = []
    bottom = top
    for lane in timeline.lanes:
        parts, bottom = _lane(timeline, lane, scale, bottom)
        body += parts
    frame = [*_grid(scale, top, bottom), *_bounds(timeline, scale, bottom)]
    listing = list(_listing(timeline, bottom + AXIS + 8)) if alone else []
    height = bottom + AXIS + (len(listing) * 20 + 24 if alone else 0)
    name = escape(f"{timeline.title}: {timeline.summary()}")
    size = f'width="{WIDTH_ALONE}" height="{height}"' if alone else f'width="100%" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="tl" role="img" aria-label="{name}" {size}>'
    if alone:
        head += f"<style>{STYLE}@media(prefers-color-scheme:dark){{{STYLE_DARK}.tl-paper{{fill:#17181a!important}}}}</style>"
        head += '<rect class="tl-paper" width="100%" height="100%" style="fill:#fbfaf7"/>'
    return "\n".join([head, *frame, *body, *listing, "</svg>"])


def _lane(timeline: Timeline, lane: str, scale: _Scale, top: int) -> tuple[list[str], int]:
    """One lane from `top` on: its name, its windows, and its events on as many levels as they need."""
    middle = top + LANE_LABEL + LEVEL // 2
    parts = [
        f'<text class="tl-lane" x="0" y="{top + 14}">{escape(lane)}</text>',
        f'<line class="tl-track" x1="0" x2="100%" y1="{middle}" y2="{middle}"/>',
    ]
    for window in (each for each in timeline.windows if each.lane == lane):
        left, right = scale(window.start), scale(window.end)
        parts.append(
            f'<rect class="tl-{window.kind}" x="{left:.2f}%" width="{max(right - left, 0.6):.2f}%" '
            f'y="{middle - 8}" height="16" rx="2"><title>{window.kind} {_seconds(window.end - window.start)}</title></rect>'
        )
        anchor, at, shift = ("start", left, 3) if left < 60 else ("end", right, -3)
        words = f"{window.kind} {_seconds(window.end - window.start)}"
        place = f'x="{at:.2f}%" dx="{shift}" y="{middle + 25}" text-anchor="{anchor}"'
        parts.append(f'<text class="tl-dim" {place}>{words}</text>')
    levels: list[float] = []
    for number, event in enumerate(timeline.events, 1):
        if event.lane != lane:
            continue
        at = scale(event.t)
        level = next((index for index, last in enumerate(levels) if at - last >= MARKER_GAP), len(levels))
        levels[level : level + 1] = [at]
        y = middle + level * LEVEL
        parts.append(f'<circle cx="{at:.2f}%" cy="{y}" r="9"><title>{escape(event.label)}</title></circle>')
        parts.append(f'<text class="tl-number" x="{at:.2f}%" y="{y + 4}">{number}</text>')
    has_window = any(window.lane == lane for window in timeline.windows)
    return parts, middle + max(LEVEL * max(len(levels), 1), 34 if has_window else 0) + 4


def _grid(scale: _Scale, top: int, bottom: int) -> Iterator[str]:
    for tick in scale.ticks():
        x = f"{scale(tick):.2f}%"
        kind = "tl-zero" if tick == 0 else "tl-grid"
        yield f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom + 6}"/>'
        yield f'<text class="tl-dim" x="{x}" y="{bottom + 21}" text-anchor="middle">{tick:g} s</text>'


def _bounds(timeline: Timeline, scale: _Scale, bottom: int) -> list[str]:
    lines, labels = [], []
    for row, (moment, label) in enumerate(timeline.bounds):
        at = scale(moment)
        anchor, shift = ("end", -5) if at > 50 else ("start", 5)
        y = BOUND_ROW * row + 14
        lines.append(f'<line class="tl-bound" x1="{at:.2f}%" x2="{at:.2f}%" y1="{y - 10}" y2="{bottom + 6}"/>')
        words = escape(f"{label} ({_seconds(moment)})")
        labels.append(
            f'<text class="tl-bound-label" x="{at:.2f}%" dx="{shift}" y="{y}" text-anchor="{anchor}">{words}</text>'
        )
    return [*lines, *labels]


def _listing(timeline: Timeline, top: int) -> Iterator[str]:
    for number, event in enumerate(timeline.events, 1):
        words = escape(f"{number}.  {event.t:+.2f} s  {event.lane}: {event.label}")
        yield f'<text x="8" y="{top + number * 20}">{words}</text>'


def _seconds(span: float) -> str:
    return f"{span:.0f} s" if span >= 100 else f"{span:.1f} s" if span >= 1 else f"{span * 1000:.0f} ms"
