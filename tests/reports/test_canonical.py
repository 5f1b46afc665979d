from __future__ import annotations

import json
import math
import uuid
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from reports.record import NAMESPACE, Record, canonical, uuid5
from tests.reports import sample

NUMBERS = st.one_of(
    st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1),
    st.floats(min_value=1e-4, max_value=9e15).filter(lambda number: number < 2**53),
    st.floats(min_value=-9e15, max_value=-1e-4).filter(lambda number: number > -(2**53)),
    st.just(-0.0),
)
TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_is_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_what_was_read_back_has_the_same_canonical_form(value: Any) -> None:
    assert canonical(json.loads(canonical(value))) == canonical(value)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        1e-9,
        1e22,
        2**53,
        -(2**60),
        {1: "key"},
        {None: 1},
        {"é": 1, 2: 1},
        "\ud800",
        {"\udfff": 1},
    ],
)
def test_what_has_no_canonical_form_here_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(value)


@given(TEXTS)
def test_uuids_are_those_of_the_standard_library(name: str) -> None:
    assert uuid5(name) == str(uuid.uuid5(NAMESPACE, name))


def test_keys_are_sorted_by_utf_16() -> None:
    # U+1F600 is D83D DE00 in UTF-16, before U+E000, though its code point is behind it
    assert canonical({"\ue000": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ue000":1}'.encode()


@pytest.mark.parametrize("record", sample.bad_records(), ids=lambda record: f"{record.property}-{record.subject}")
def test_a_record_survives_being_written_and_read(record: Record) -> None:
    assert Record.from_json(json.loads(canonical(record.as_json()))) == record
