"""Label selectors and quantities mean what the API server means by them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fixtures.quantities import quantity
from fixtures.selectors import matches, matches_map


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50m", Fraction(1, 20)),
        ("0.05", Fraction(1, 20)),
        ("64Mi", 64 * 2**20),
        ("67108864", 64 * 2**20),
        ("1.5Gi", Fraction(3, 2) * 2**30),
        ("2e3", 2000),
        ("1E", 10**18),
        ("100n", Fraction(1, 10**7)),
        (2, 2),
        (".5", Fraction(1, 2)),
        ("+1k", 1000),
    ],
)
def test_quantity(text: str | int, value: Fraction) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1KiB", "1e", "0x10", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        quantity(text)


@given(some.dictionaries(some.text(max_size=3), some.text(max_size=3)))
def test_an_empty_selector_selects_everything_and_none_nothing(labels: dict[str, str]) -> None:
    assert matches({}, labels)
    assert not matches(None, labels)
    assert not matches_map({}, labels)
    assert matches({"matchLabels": labels}, labels)


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["b", "c"], {"a": True, "other": False, "none": False}),
        ("NotIn", ["b", "c"], {"a": False, "other": True, "none": True}),
        ("Exists", None, {"a": True, "other": True, "none": False}),
        ("DoesNotExist", None, {"a": False, "other": False, "none": True}),
    ],
)
def test_expressions(operator: str, values: list[str] | None, selected: dict[str, bool]) -> None:
    selector = {"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}
    labels = {"a": {"k": "b"}, "other": {"k": "z"}, "none": {}}

    assert {name: matches(selector, one) for name, one in labels.items()} == selected


def test_an_operator_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="no operator"):
        matches({"matchExpressions": [{"key": "k", "operator": "Gt", "values": ["1"]}]}, {"k": "2"})
