"""The policy file: what it means, and what a mistake in it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures import limits
from fixtures.policy import Policy, PolicyError, load, profiles

WAIVER = {
    "property": "a.b",
    "subjects": ["Deployment shop/*"],
    "reason": "the vendor ships it so",
    "owner": "team-shop",
    "approver": "security",
    "expires": "2026-12-31",
}


def test_waiver_holds_to_the_end_of_its_last_day_in_utc() -> None:
    policy = Policy.model_validate({"waivers": [WAIVER]})

    assert policy.waiver("a.b", "Deployment shop/web", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert not policy.waiver("a.b", "Deployment shop/web", datetime(2027, 1, 1, tzinfo=UTC))
    assert not policy.waiver("a.b", "Deployment payments/web", datetime(2026, 12, 1, tzinfo=UTC))
    assert not policy.waiver("a.c", "Deployment shop/web", datetime(2026, 12, 1, tzinfo=UTC))


def test_system_namespaces_are_never_judged_and_exclude_beats_include() -> None:
    policy = Policy.model_validate({"scope": {"include": ["shop*"], "exclude": ["shop-old"], "system": ["shop-infra"]}})

    judged = [name for name in ("kube-system", "shop", "shop-old", "shop-infra", "other") if policy.judges(name)]

    assert judged == ["shop"]


def test_the_policy_file_overrides_the_table_of_limits() -> None:
    limit = limits.table()[0]

    assert Policy().limit(limit) == limit.value
    assert Policy.model_validate({"thresholds": {limit.name: 42}}).limit(limit) == 42


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profle: production", "unknown key; did you mean 'profile'?"),
        ("profile: prodution", "unknown profile 'prodution'; did you mean 'production'?"),
        ("waivers: [{property: a.b}]", "waivers.0.reason: Field required"),
        ("scope: {consent: [laod]}", "Input should be 'probes', 'load' or 'disruption'"),
        ("thresholds: {nonsense: 3}", "unknown threshold 'nonsense'"),
        ("- a list", "a mapping is expected at the top, not list"),
        ("a: [", "is not YAML"),
        (
            "attestations: [{property: a.b, statement: s, owner: o, role: r, date: 2026-13-01, expires: 2027-01-01}]",
            "a date that no calendar has: month must be in 1..12",
        ),
        (
            "attestations: [{property: a.b, statement: s, owner: o, role: r, date: 2026-02-01, expires: 2026-01-01}]",
            "expires before it was made",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_nearest_word(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "readiness.yaml"
    path.write_text(text)

    with pytest.raises(PolicyError, match=r"readiness\.yaml|profile") as problem:
        load(path, None)

    assert said in str(problem.value)


def test_a_missing_policy_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml", None)


@pytest.mark.parametrize("name", profiles())
def test_every_profile_loads_and_requires_something(name: str) -> None:
    assert load(None, name).required
