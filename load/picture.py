"""A latency picture: one self-contained SVG with, for each row, latency over time and the tail of its distribution.

It needs no script, font or request from elsewhere, and follows the reader's light or dark setting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from load.judgement import RowStatistics
from load.samples import DROPPED, Sample

WIDTH = 760
_LEFT, _TIME, _GAP, _TAIL = 52, 460, 40, 190
_TOP, _PANEL, _HEAD, _FOOT = 66, 96, 24, 26
_NINES = (0.5, 0.9, 0.95, 0.99, 0.999)
_DECADES = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)

_STYLE = """
.kw-load{--bg:#ffffff;--fg:#1b2430;--dim:#5d6b7a;--grid:#e3e8ee;--dot:#1f6feb;--bound:#b45309;--bad:#c81e1e;--line:#0b3d91}
@media (prefers-color-scheme:dark){.kw-load{--bg:#11161d;--fg:#e6edf3;--dim:#9aa7b4;--grid:#2a323c;--dot:#58a6ff;\
--bound:#e3a34a;--bad:#ff7b72;--line:#a5d0ff}}
.kw-load text{font:12px system-ui,sans-serif;fill:var(--fg)}.kw-load .dim{fill:var(--dim);font-size:11px}
.kw-load .title{font-size:16px;font-weight:600}.kw-load .row{font-weight:600}
.kw-load .grid{stroke:var(--grid);fill:none}.kw-load .bound{stroke:var(--bound);stroke-width:1.5;stroke-dasharray:6 4}
.kw-load .named{fill:var(--bound);font-size:11px}
.kw-load .dots{stroke:var(--dot);stroke-width:2.4;stroke-linecap:round;opacity:.65;fill:none}
.kw-load .failed{stroke:var(--bad);stroke-width:1.8;fill:none}
.kw-load .tail{stroke:var(--line);stroke-width:1.8;fill:none}
.kw-load .interval{stroke:var(--line);stroke-width:5;opacity:.5}
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One row to draw: its numbers, its samples, the bound (s) of its p95 where it has one, and a note."""

    row: RowStatistics
    samples: Sequence[Sample]
    bound: float | None
    note: str = ""


def draw(title: str, subtitle: str, seconds: float, panels: Sequence[Panel]) -> str:
    """The picture as SVG text. Latencies are on a logarithmic scale that all panels share."""
    scale = _scale(panels)
    height = _TOP + len(panels) * (_PANEL + _HEAD + _FOOT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kw-load" viewBox="0 0 {WIDTH} {height}" role="img"',
        f'style="width:100%;max-width:{WIDTH}px;height:auto">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" style="fill:var(--bg)"/>',
        f'<text class="title" x="12" y="26">{escape(title)}</text>',
        f'<text class="dim" x="12" y="46">{escape(subtitle)}</text>',
    ]
    for place, panel in enumerate(panels):
        parts += _panel(panel, seconds, scale, _TOP + place * (_PANEL + _HEAD + _FOOT))
    return "\n".join((*parts, "</svg>\n"))


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    def y(self, seconds: float, top: float) -> float:
        inside = min(max(seconds, self.low), self.high)
        return top + _PANEL * (1 - math.log(inside / self.low) / math.log(self.high / self.low))


def _scale(panels: Sequence[Panel]) -> _Scale:
    seen = [sample.latency for panel in panels for sample in panel.samples if sample.ok and sample.latency > 0]
    bounds = [panel.bound for panel in panels if panel.bound]
    low, high = min((*seen, 0.01)), max((*seen, *bounds, 0.01)) * 1.3
    return _Scale(max(d for d in _DECADES if d <= max(low, _DECADES[0])), high)


def _panel(panel: Panel, seconds: float, scale: _Scale, top: float) -> Iterator[str]:
    row, base = panel.row, top + _HEAD
    right = _LEFT + _TIME + _GAP
    failures = "".join(f", {count} {code}" for code, count in row.failed.items())
    yield f'<text class="row" x="12" y="{top + 12}">{escape(row.label)}</text>'
    yield f'<text x="{WIDTH - 18}" y="{top + 12}" text-anchor="end">{escape(_numbers(row) + failures)}</text>'
    yield from _axes(scale, base, right)
    yield f'<path class="dots" d="{_dots(panel.samples, seconds, scale, base)}"/>'
    yield f'<path class="failed" d="{_crosses(panel.samples, seconds, base)}"/>'
    yield f'<path class="tail" d="{_tail(panel.samples, scale, base, right)}"/>'
    if row.p95 and row.p95.lower is not None and row.p95.upper is not None:
        x = right + _nine(0.95)
        low, high = scale.y(row.p95.lower, base), scale.y(row.p95.upper, base)
        yield f'<path class="interval" d="M{x:.1f} {low + 0.5:.1f}V{high - 0.5:.1f}"/>'
    if panel.bound:
        y = scale.y(panel.bound, base)
        yield f'<path class="bound" d="M{_LEFT} {y:.1f}H{_LEFT + _TIME}M{right} {y:.1f}H{right + _TAIL}"/>'
        yield f'<text class="named" x="{_LEFT + 4}" y="{y - 4:.1f}">p95 within {_short(panel.bound)}</text>'
    if panel.note:
        yield f'<text class="dim" x="{_LEFT}" y="{base + _PANEL + 16}">{escape(panel.note)}</text>'


def _numbers(row: RowStatistics) -> str:
    if row.median is None or row.p95 is None or row.p99 is None:
        return f"{row.sent} sent, none answered"
    tail = row.p95
    low, high = ("?" if bound is None else _short(bound) for bound in (tail.lower, tail.upper))
    return (
        f"{row.answered} answers: p50 {_short(row.median)}, p95 {_short(tail.interval.value)} ({low} to {high}), "
        f"p99 {_short(row.p99.interval.value)}"
    )


def _axes(scale: _Scale, base: float, right: float) -> Iterator[str]:
    for decade in _DECADES:
        if scale.low <= decade <= scale.high:
            y = scale.y(decade, base)
            yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_LEFT + _TIME}M{right} {y:.1f}H{right + _TAIL}"/>'
            yield f'<text class="dim" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(decade)}</text>'
    for nine in _NINES:
        x = right + _nine(nine)
        yield f'<path class="grid" d="M{x:.1f} {base}V{base + _PANEL}"/>'
        yield f'<text class="dim" x="{x:.1f}" y="{base + _PANEL + 16}" text-anchor="middle">{nine * 100:g}</text>'


def _x(at: float, seconds: float) -> float:
    return _LEFT + _TIME * at / seconds


def _dots(samples: Sequence[Sample], seconds: float, scale: _Scale, base: float) -> str:
    places = {
        f"M{_x(sample.intended, seconds):.1f} {scale.y(sample.latency, base):.1f}h0" for sample in samples if sample.ok
    }
    return "".join(sorted(places))


def _crosses(samples: Sequence[Sample], seconds: float, base: float) -> str:
    failed = [sample for sample in samples if not sample.ok]
    # A dropped arrival was never sent: a stroke at the bottom, where a failed one is a cross at the top.
    marks = {
        f"M{x:.1f} {base + _PANEL:.1f}v-6" if sample.code == DROPPED else f"M{x - 3:.1f} {base:.1f}l6 6m0 -6l-6 6"
        for sample in failed
        for x in (_x(sample.intended, seconds),)
    }
    return "".join(sorted(marks))


def _nine(quantile: float) -> float:
    """The place of a quantile on a scale of nines, from 0 (50 %) to the width of the tail (99.9 %)."""
    return _TAIL * math.log(0.5 / (1 - quantile)) / math.log(500)


def _tail(samples: Sequence[Sample], scale: _Scale, base: float, right: float) -> str:
    ordered = sorted(sample.latency for sample in samples if sample.ok)
    if not ordered:
        return ""
    points = []
    for step in range(61):
        quantile = 1 - 0.5 * 500 ** (-step / 60)
        latency = ordered[min(len(ordered), max(1, math.ceil(quantile * len(ordered)))) - 1]
        points.append(f"{right + _nine(quantile):.1f} {scale.y(latency, base):.1f}")
    return "M" + "L".join(points)


def _short(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.3g} ms"
