"""The share of runs that met a target, with the interval that so few runs leave open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

STEPS = 60
"""Bisections of [0, 1]: the ends are then known to 1e-18, far below what is printed."""


@dataclass(frozen=True, slots=True)
class Share:
    """`met` of `runs` runs, and the two-sided Clopper-Pearson interval of the share at `confidence`."""

    met: int
    runs: int
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        share = f"{self.met} of {self.runs} ({self.met / self.runs:.0%})"
        return f"{share}, {self.confidence:.0%} interval {self.low:.0%} to {self.high:.0%}"


def clopper_pearson(met: int, runs: int, confidence: float = 0.95) -> Share:
    """The exact interval of a share. Raises ValueError unless 0 <= met <= runs, runs > 0 and 0 < confidence < 1."""
    if not (0 <= met <= runs and runs > 0 and 0 < confidence < 1):
        raise ValueError(f"no share: {met} of {runs} at confidence {confidence}")
    tail = (1 - confidence) / 2
    low = 0.0 if met == 0 else _bisect(lambda share: 1 - _at_most(met - 1, runs, share) < tail)
    high = 1.0 if met == runs else _bisect(lambda share: _at_most(met, runs, share) > tail)
    return Share(met, runs, low, high, confidence)


def _at_most(count: int, runs: int, share: float) -> float:
    return sum(comb(runs, hits) * share**hits * (1 - share) ** (runs - hits) for hits in range(count + 1))


def _bisect(below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2
