"""The Clopper-Pearson interval against published values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.share import clopper_pearson


@pytest.mark.parametrize(
    ("met", "runs", "low", "high"),
    [
        (0, 20, 0.0, 0.1684),
        (20, 20, 0.8316, 1.0),
        (1, 1, 0.025, 1.0),
        (0, 1, 0.0, 0.975),
        (5, 10, 0.1871, 0.8129),
        (4, 20, 0.0573, 0.4366),
    ],
)
def test_known_intervals(met: int, runs: int, low: float, high: float) -> None:
    share = clopper_pearson(met, runs)
    assert share.low == pytest.approx(low, abs=1e-4)
    assert share.high == pytest.approx(high, abs=1e-4)


@given(st.integers(1, 40).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_the_interval_holds_the_share_and_stays_within_0_and_1(case: tuple[int, int]) -> None:
    share = clopper_pearson(*case)
    assert 0 <= share.low <= share.met / share.runs <= share.high <= 1


@pytest.mark.parametrize(("met", "runs"), [(1, 0), (-1, 3), (4, 3)])
def test_no_share_of_nothing(met: int, runs: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        clopper_pearson(met, runs)
