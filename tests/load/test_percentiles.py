"""Percentiles and their intervals, against brute force and the tables of the literature."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from load.percentiles import binomial_at_most, block_bootstrap, minimum_samples, nearest_rank, percentile, ranks, share

unhurried = settings(deadline=None, max_examples=60)


@pytest.mark.parametrize(("n", "lower", "upper"), [(200, 184, 197), (1000, 936, 964), (5000, 4719, 4781)])
def test_ranks_of_the_95_percent_interval_of_p95(n: int, lower: int, upper: int) -> None:
    low, high, confidence = ranks(n, 0.95, 0.95)

    assert (low, high) == (lower, upper)
    assert confidence >= 0.95


@unhurried
@given(some.integers(1, 400), some.sampled_from([0.5, 0.95, 0.99]))
def test_ranks_are_the_tightest_that_leave_a_fortieth_on_each_side(n: int, quantile: float) -> None:
    low, high, _ = ranks(n, quantile, 0.95)
    below = [binomial_at_most(k, n, quantile) for k in range(-1, n + 1)]  # below[rank] = P(fewer than `rank` samples)

    assert low == max((rank for rank in range(1, n + 1) if below[rank] <= 0.025), default=0)
    two_sided = min((rank for rank in range(1, n + 1) if below[rank] >= 0.975), default=n + 1)
    one_sided = n if 1 - quantile**n >= 0.95 else n + 1
    assert high == min(two_sided, one_sided)


def test_the_fewest_samples_that_bound_a_percentile_from_above() -> None:
    assert minimum_samples(0.95, 0.95) == 59
    assert minimum_samples(0.99, 0.95) == 299
    assert percentile(list(map(float, range(58))), 0.95, 0.95).upper is None
    assert percentile(list(map(float, range(59))), 0.95, 0.95).upper == 58.0


@unhurried
@given(
    some.integers(1, 60), some.integers(-1, 60), some.fractions(Fraction(1, 20), Fraction(19, 20), max_denominator=20)
)
def test_the_binomial_sum_is_exact(n: int, k: int, p: Fraction) -> None:
    exact = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(min(k, n) + 1))

    assert binomial_at_most(k, n, float(p)) == pytest.approx(float(exact), abs=1e-9)


@unhurried
@given(some.lists(some.floats(0, 100), min_size=1, max_size=80), some.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_the_smallest_sample_that_enough_do_not_exceed(samples: list[float], quantile: float) -> None:
    value = percentile(samples, quantile, 0.95).value

    reached = [
        one for one in sorted(samples) if sum(other <= one for other in samples) >= quantile * len(samples) - 1e-9
    ]
    assert value == reached[0]
    assert sorted(samples)[nearest_rank(len(samples), quantile) - 1] == value


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = random.Random(7)
    runs, hits = 400, 0
    for _ in range(runs):
        found = percentile([draw.random() for _ in range(200)], 0.95, 0.95)
        assert found.lower is not None
        assert found.upper is not None
        hits += found.lower <= 0.95 <= found.upper

    assert hits / runs > 0.92


def test_blocks_see_a_stall_that_order_statistics_take_for_chance() -> None:
    calm = [(second + part / 20, 0.001) for second in range(40) for part in range(20)]
    stalled = [(moment, 1.0 if 20 <= moment < 22 else value) for moment, value in calm]

    _, upper = block_bootstrap(stalled, 0.95, 0.95, block=1.0, resamples=500, seed=1)

    assert upper == 1.0
    assert block_bootstrap(calm, 0.95, 0.95, block=1.0, resamples=50, seed=1) == (0.001, 0.001)


@unhurried
@given(some.integers(1, 400).flatmap(lambda n: some.tuples(some.integers(0, n), some.just(n))))
def test_the_interval_of_a_share_inverts_the_binomial(counts: tuple[int, int]) -> None:
    hits, n = counts
    found = share(hits, n, 0.95)

    assert found.lower is not None
    assert found.upper is not None
    assert found.lower <= hits / n <= found.upper
    if hits:
        assert 1 - binomial_at_most(hits - 1, n, found.lower) == pytest.approx(0.025, abs=1e-6)
    if hits < n:
        assert binomial_at_most(hits, n, found.upper) == pytest.approx(0.025, abs=1e-6)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.95, 0.95)
    with pytest.raises(ValueError, match="no share"):
        share(3, 2, 0.95)
