from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.dates import expired, last_moment
from reports.gate import Share, decide
from reports.properties import PropertyInfo
from reports.record import Record, rfc3339
from reports.words import HOLDS, RunVerdict, Severity, Verdict
from tests.reports import sample
from tests.reports.sample import record

DURING = datetime(2026, 11, 21, 8, 17, tzinfo=UTC)
LATER = datetime(2026, 12, 24, tzinfo=UTC)


def without(records: list[Record], name: str) -> list[Record]:
    return [each for each in records if each.property != name]


def test_ready_when_every_required_property_holds() -> None:
    decision = decide(sample.catalogue(), sample.good_records(), complete=True, at=DURING)

    assert decision.verdict is RunVerdict.READY
    assert decision.exit_code == 0
    assert decision.reasons == (
        "All 17 required properties hold (1 by a waiver, 1 by an attestation, 1 as not applicable).",
    )


def test_the_two_figures_are_apart() -> None:
    decision = decide(sample.catalogue(), sample.bad_records(), complete=True, at=DURING)

    assert decision.readiness == Share(13, 16)
    assert decision.coverage == Share(18, 20)
    assert decision.required_coverage == Share(16, 17)


@pytest.mark.parametrize(("part", "whole", "percent"), [(0, 0, 0), (199, 200, 99), (200, 200, 100), (1, 3, 33)])
def test_a_percentage_is_rounded_down(part: int, whole: int, percent: int) -> None:
    assert Share(part, whole).percent == percent


def test_the_failing_critical_property_is_the_first_reason() -> None:
    decision = decide(sample.catalogue(), sample.bad_records(), complete=True, at=DURING)

    assert decision.verdict is RunVerdict.NOT_READY
    assert decision.reasons[0].startswith(
        "rbac.no-wildcard-roles (critical, required) fails: cluster: ClusterRole legacy-ci"
    )
    assert [reason.split(" ")[0] for reason in decision.reasons] == [
        "rbac.no-wildcard-roles", "workloads.probes", "storage.encryption-at-rest", "infrastructure.certificates",
    ]  # fmt: skip


def test_an_error_is_never_ignored_even_if_nobody_required_the_property() -> None:
    records = [*sample.good_records(), record("infrastructure.certificates", "cluster", "error", reason="crashed")]

    decision = decide(sample.catalogue(), records, complete=True, at=DURING)

    assert decision.verdict is RunVerdict.NOT_READY
    assert decision.reasons == ("infrastructure.certificates could not be decided (error): cluster: crashed.",)


def test_a_failure_that_is_not_required_leaves_the_run_ready() -> None:
    assert any(each.verdict is Verdict.FAIL for each in sample.good_records())
    assert decide(sample.catalogue(), sample.good_records(), complete=True, at=DURING).verdict is RunVerdict.READY


@pytest.mark.parametrize("name", [name for name, info in sample.catalogue().items() if info.required])
def test_a_required_property_without_a_record_makes_the_run_incomplete(name: str) -> None:
    decision = decide(sample.catalogue(), without(sample.good_records(), name), complete=True, at=DURING)

    assert decision.verdict is RunVerdict.INCOMPLETE
    assert decision.reasons[0].endswith("was not assessed: nothing was executed.")


def test_a_run_that_did_not_end_is_incomplete() -> None:
    decision = decide(sample.catalogue(), sample.good_records(), complete=False, at=DURING)

    assert decision.verdict is RunVerdict.INCOMPLETE
    assert decision.exit_code == 6


def test_a_run_that_did_not_end_and_failed_is_not_ready() -> None:
    assert decide(sample.catalogue(), sample.bad_records(), complete=False).verdict is RunVerdict.NOT_READY


@pytest.mark.parametrize("records", [[], sample.good_records()])
def test_with_nothing_required_a_run_is_never_ready(records: list[Record]) -> None:
    optional = {name: replace(info, required=False) for name, info in sample.catalogue().items()}

    decision = decide(optional, records, complete=True, at=DURING)

    assert decision.verdict is RunVerdict.INCOMPLETE
    assert "No property is required" in decision.reasons[0]


def test_only_skipped_checks_are_incomplete() -> None:
    records = [record(name, "cluster", "not-assessed", examined=0) for name in sample.catalogue()]

    assert decide(sample.catalogue(), records, complete=True).verdict is RunVerdict.INCOMPLETE


def test_a_pass_over_nothing_is_an_error() -> None:
    records = [
        *without(sample.good_records(), "rbac.no-wildcard-roles"),
        record("rbac.no-wildcard-roles", "cluster", examined=0),
    ]

    decision = decide(sample.catalogue(), records, complete=True, at=DURING)

    assert decision.verdict is RunVerdict.NOT_READY
    assert "without having examined anything" in decision.reasons[0]


def test_a_property_that_one_of_two_clusters_has_no_record_of_was_not_assessed() -> None:
    decision = decide(
        sample.catalogue(), sample.good_records(), complete=True, at=DURING, clusters=(sample.CLUSTER, "prod-eu")
    )

    assert decision.verdict is RunVerdict.INCOMPLETE
    assert "nothing was executed on prod-eu" in decision.reasons[0]


@pytest.mark.parametrize(
    ("stranger", "words"),
    [
        (record("workloads.prbes", "cluster"), "the property workloads.prbes"),
        (replace(record("workloads.probes", "x"), cluster="elsewhere"), "the cluster elsewhere"),
    ],
)
def test_a_record_of_an_unknown_property_or_cluster_is_not_ready(stranger: Record, words: str) -> None:
    decision = decide(
        sample.catalogue(), [*sample.good_records(), stranger], complete=True, at=DURING, clusters=(sample.CLUSTER,)
    )

    assert decision.verdict is RunVerdict.NOT_READY
    assert words in " ".join(decision.reasons)


@pytest.mark.parametrize("kind", ["pass", "waived", "attested", "not-applicable"])
def test_what_held_is_stale_once_it_expired(kind: str) -> None:
    info = {"rbac.no-wildcard-roles": sample.catalogue()["rbac.no-wildcard-roles"]}
    records = [record("rbac.no-wildcard-roles", "cluster", kind)]

    assert decide(info, records, complete=True, at=last_moment(sample.EXPIRES)).verdict is RunVerdict.READY
    after = decide(info, records, complete=True, at=last_moment(sample.EXPIRES) + timedelta(seconds=1))
    assert after.verdict is RunVerdict.NOT_READY
    assert after.outcomes["rbac.no-wildcard-roles"] is Verdict.STALE


@pytest.mark.parametrize("expires", ["", "soon", "2026-13-01", "2027-01-01T00:00:00"])
def test_an_expiry_that_cannot_be_read_is_stale(expires: str) -> None:
    info = {"rbac.no-wildcard-roles": sample.catalogue()["rbac.no-wildcard-roles"]}

    decision = decide(info, [record("rbac.no-wildcard-roles", "cluster", expires=expires)], complete=True)

    assert decision.outcomes["rbac.no-wildcard-roles"] is Verdict.STALE


def test_an_expired_waiver_gives_the_failure_back() -> None:
    info = {"rbac.no-wildcard-roles": sample.catalogue()["rbac.no-wildcard-roles"]}
    waived = record(
        "rbac.no-wildcard-roles", "cluster", "waived", expires="2027-12-31", waiver={"expires": "2026-12-23"}
    )

    assert decide(info, [waived], complete=True, at=last_moment("2026-12-23")).verdict is RunVerdict.READY
    assert decide(info, [waived], complete=True, at=LATER).outcomes["rbac.no-wildcard-roles"] is Verdict.FAIL


def test_a_date_holds_to_the_end_of_its_day_in_utc() -> None:
    assert not expired("2026-12-31", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert expired("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC))
    assert not expired("2026-12-31T23:30:00-01:00", datetime(2027, 1, 1, 0, 30, tzinfo=UTC))


IDS = ("a.one", "a.two", "b.three")
INFOS = st.fixed_dictionaries(
    {
        name: st.builds(
            lambda required, severity, name=name: PropertyInfo(
                id=name, title=name, severity=severity, ttl="7d", required=required, selected=True
            ),
            st.booleans(),
            st.sampled_from(Severity),
        )
        for name in IDS
    }
)
RECORDS = st.lists(
    st.builds(
        lambda name, subject, verdict, examined, expires: replace(
            record(name, subject, verdict), examined=examined, expires=expires
        ),
        st.sampled_from(IDS),
        st.sampled_from(("x", "y")),
        st.sampled_from(list(Verdict)),
        st.integers(0, 2),
        st.sampled_from((sample.EXPIRES, "2026-11-01", "")),
    ),
    max_size=12,
)


@given(INFOS, RECORDS, st.booleans())
def test_never_ready_unless_every_required_property_was_proved(
    infos: dict[str, PropertyInfo], records: list[Record], complete: bool
) -> None:
    decision = decide(infos, records, complete=complete, at=DURING)

    if decision.verdict is RunVerdict.READY:
        required = [name for name in IDS if infos[name].required]
        assert complete
        assert required
        for name in required:
            verdicts = [each for each in records if each.property == name]
            assert verdicts
            assert all(each.verdict in HOLDS and each.expires == sample.EXPIRES for each in verdicts)
            assert all(each.examined for each in verdicts if each.verdict is Verdict.PASS)
        assert not any(each.verdict is Verdict.ERROR for each in records)
        assert decision.readiness.percent == 100
    else:
        assert decision.reasons


@given(INFOS, RECORDS, st.booleans(), st.randoms())
def test_the_order_of_the_records_does_not_matter(
    infos: dict[str, PropertyInfo], records: list[Record], complete: bool, chance: random.Random
) -> None:
    shuffled = list(records)
    chance.shuffle(shuffled)

    assert decide(infos, shuffled, complete=complete, at=DURING) == decide(infos, records, complete=complete, at=DURING)


@given(INFOS, RECORDS, st.integers(0, 400))
def test_time_never_makes_a_run_ready(infos: dict[str, PropertyInfo], records: list[Record], days: int) -> None:
    now = decide(infos, records, complete=True, at=DURING)
    later = decide(infos, records, complete=True, at=DURING + timedelta(days=days))

    assert later.verdict is not RunVerdict.READY or now.verdict is RunVerdict.READY


def test_the_moment_of_the_verdict_is_recorded() -> None:
    assert decide({}, [], complete=True, at=DURING).at == rfc3339(DURING)
