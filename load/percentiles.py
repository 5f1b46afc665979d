"""Percentiles and shares with honest intervals: order statistics, block bootstrap, exact binomial. Pure functions.

Nothing here is smoothed or interpolated: a percentile is one of the samples, and an interval states how probably it
covers the truth.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval.

    `value`, `lower` and `upper` share the samples' unit; `upper` is None where `n` samples give no upper bound at the
    confidence asked for, and `lower` likewise. `confidence` is the exact probability of the interval, which is at
    least the one asked for, save where only one side of it exists.
    """

    value: float
    lower: float | None
    upper: float | None
    confidence: float
    n: int


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction, to about 1e-12."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d or tiny)
    result = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / ((1 + numerator * d) or tiny)
            c = (1 + numerator / c) or tiny
            result *= d * c
        if abs(d * c - 1) < 1e-13:
            return result
    raise ArithmeticError(f"the continued fraction of I_{x}({a}, {b}) does not converge")


def binomial_at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for X binomial with `n` trials of probability `p`."""
    if k < 0 or k >= n:
        return 0.0 if k < 0 else 1.0
    return incomplete_beta(1 - p, n - k, k + 1)


def minimum_samples(quantile: float, confidence: float) -> int:
    """The fewest samples whose maximum is a one-sided upper bound of the quantile: 59 for p95, 299 for p99, at 95 %."""
    return math.ceil(math.log(1 - confidence) / math.log(quantile))


def ranks(n: int, quantile: float, confidence: float) -> tuple[int, int, float]:
    """The ranks (from 1) of the order statistics that enclose a quantile, and the exact confidence of the pair.

    Each tail gets at most half of `1 - confidence`. Rank 0 means that no sample bounds the quantile from below, rank
    n + 1 that none does from above. Between the one-sided and the two-sided minimum (59 to 71 samples for p95) the
    maximum is the upper bound, at the confidence that is returned.
    """
    tail = (1 - confidence) / 2
    lower = _largest(n, lambda rank: binomial_at_most(rank - 1, n, quantile) <= tail)
    upper = _largest(n, lambda rank: binomial_at_most(rank - 1, n, quantile) < 1 - tail) + 1
    if upper > n >= minimum_samples(quantile, confidence):
        upper = n
    above = binomial_at_most(upper - 1, n, quantile) if upper <= n else 1.0
    below = binomial_at_most(lower - 1, n, quantile) if lower else 0.0
    return lower, upper, above - below


def _largest(n: int, holds: Callable[[int], bool]) -> int:
    """The largest rank of 1..n for which a predicate that turns false once holds; 0 where it never does."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def percentile(samples: Sequence[float], quantile: float, confidence: float) -> Interval:
    """The quantile (nearest rank) with its interval by order statistics. Raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples, no percentile")
    ordered = sorted(samples)
    n = len(ordered)
    lower, upper, achieved = ranks(n, quantile, confidence)
    return Interval(
        value=ordered[nearest_rank(n, quantile) - 1],
        lower=ordered[lower - 1] if lower else None,
        upper=ordered[upper - 1] if upper <= n else None,
        confidence=achieved,
        n=n,
    )


def nearest_rank(n: int, quantile: float) -> int:
    """The rank (from 1) of the smallest sample that at least `quantile` of the samples do not exceed."""
    return min(n, max(1, math.ceil(n * quantile - 1e-9)))


def block_bootstrap(
    samples: Sequence[tuple[float, float]],
    quantile: float,
    confidence: float,
    *,
    block: float,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """The interval of a quantile when samples that are near in time depend on each other.

    `samples` are pairs (moment in seconds, value). Blocks of `block` seconds are drawn with replacement, `resamples`
    times. Returns the lower and upper bound. Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("no samples, no percentile")
    names = sorted({math.floor(moment / block) for moment, _ in samples})
    index = {name: place for place, name in enumerate(names)}
    falling = sorted(((value, index[math.floor(moment / block)]) for moment, value in samples), reverse=True)
    sizes = [0] * len(names)
    for _, place in falling:
        sizes[place] += 1
    draw = random.Random(seed)
    estimates = sorted(_resampled(falling, sizes, quantile, draw) for _ in range(resamples))
    tail = (1 - confidence) / 2
    return estimates[nearest_rank(resamples, tail) - 1], estimates[nearest_rank(resamples, 1 - tail) - 1]


def _resampled(falling: list[tuple[float, int]], sizes: list[int], quantile: float, draw: random.Random) -> float:
    weights = [0] * len(sizes)
    for place in draw.choices(range(len(sizes)), k=len(sizes)):
        weights[place] += 1
    total = sum(weight * size for weight, size in zip(weights, sizes, strict=True))
    # Counted from the top: a high quantile is reached after a few values instead of nearly all.
    left = total - nearest_rank(total, quantile) + 1
    for value, place in falling:
        left -= weights[place]
        if left <= 0:
            return value
    raise ArithmeticError("a resample without values")


def share(hits: int, n: int, confidence: float) -> Interval:
    """The share hits/n with its exact (Clopper-Pearson) interval. Raises ValueError for impossible counts."""
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} of {n} is no share")
    tail = (1 - confidence) / 2
    lower = _solve(lambda p: incomplete_beta(p, hits, n - hits + 1) - tail) if hits else 0.0
    upper = _solve(lambda p: incomplete_beta(p, hits + 1, n - hits) - (1 - tail)) if hits < n else 1.0
    return Interval(value=hits / n, lower=lower, upper=upper, confidence=confidence, n=n)


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
