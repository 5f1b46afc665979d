"""From statistics to a verdict: met, missed, and everything in between is inconclusive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures.api import Forbidden, Unreachable
from fixtures.catalogue import load as catalogue
from fixtures.policy import Policy
from fixtures.readiness import Decided, Findings
from fixtures.subjects import WholeCluster
from load import verdict
from load.baseline import Baseline, ServerSide, judged
from load.judgement import Gates, doubts, failed_share, statistics
from load.percentiles import share
from load.runner import LoadResult
from load.samples import DROPPED, Sample
from load.scenario import LoadError, Scenario
from load.server_side import ServerRow
from reports.words import Verdict


def findings() -> Findings:
    check = catalogue()["success-metrics.api-server-latency"]
    return Findings(check, WholeCluster({"kind": "Cluster", "metadata": {"name": "cluster"}}))


def samples(latencies: list[float], verb: str = "GET") -> list[Sample]:
    return [
        Sample(at / 100, at / 100, at / 100 + latency, verb, "services", "resource", "quorum", "200", 1)
        for at, latency in enumerate(latencies)
    ]


def judge(taken: list[Sample], bound: float = 0.1) -> tuple[Verdict, str]:
    made = findings()
    try:
        verdict.percentile_within(statistics(taken), 0.95, lambda row: bound, made)
    except Decided as decided:
        return decided.verdict, decided.reason
    return made.verdict()


def test_well_below_is_a_pass_and_well_above_a_failure() -> None:
    assert judge(samples([0.01] * 400))[0] is Verdict.PASS
    assert judge(samples([0.5] * 400))[0] is Verdict.FAIL


def test_an_interval_that_spans_the_bound_is_inconclusive() -> None:
    said, reason = judge(samples([0.01] * 380 + [0.5] * 20))

    assert said is Verdict.ERROR
    assert "not decided by these samples" in reason


def test_too_few_answers_are_inconclusive_however_fast() -> None:
    said, reason = judge(samples([0.001] * 58))

    assert said is Verdict.ERROR
    assert "58 answers, p95 needs 59" in reason


def test_streams_are_measured_and_not_judged() -> None:
    said, reason = judge(samples([9.0] * 400, verb="WATCH"))

    assert said is Verdict.ERROR
    assert reason == "the check returned without having examined anything"


@pytest.mark.parametrize("bound", [0.05, 0.2])
def test_one_slow_row_fails_whatever_the_others_do(bound: float) -> None:
    slow = [
        Sample(one.intended, one.start, one.end + 1, "LIST", "pods", "cluster", "quorum", "200", 1)
        for one in samples([0.5] * 400)
    ]

    assert judge(samples([0.01] * 400) + slow, bound)[0] is Verdict.FAIL


def decided(act: Callable[[Findings], object]) -> tuple[Verdict, str, Findings]:
    """The verdict that the plugin would record, its reason, and what was found."""
    made = findings()
    try:
        act(made)
    except Decided as decided:
        failed = made.failures and decided.verdict is not Verdict.ERROR
        return (Verdict.FAIL if failed else decided.verdict), decided.reason, made
    return *made.verdict(), made


def server(hits: int = 1000, n: int = 1000) -> ServerSide:
    row = ServerRow("PUT", "leases.coordination.k8s.io", "resource", n, 0.1, share(hits, n, 0.95), 0.01, 0.01)
    return ServerSide((row,), row.within)


def outcome(taken: list[Sample], own: ServerSide | None = None, *, cpu: float = 0.1, trouble: str = "") -> Baseline:
    result = LoadResult(
        scenario=Scenario("stub", Path("stub.py"), ()),
        rate=len(taken),
        seconds=1,
        seed=1,
        started=datetime.now(UTC),
        origin=0.0,
        generator_cpu=cpu,
        connections=1,
        whole=not trouble,
        trouble=trouble,
        samples=tuple(taken),
        path=Path("stub.csv.gz"),
    )
    return judged(result, own or server(), lambda limit: limit.value)


def latency(baseline: Baseline) -> tuple[Verdict, str, Findings]:
    """The steps of the latency property's check."""

    def act(made: Findings) -> None:
        verdict.believable(baseline, made, Policy())
        verdict.percentile_within(baseline.rows, 0.95, lambda row: 0.1, made, baseline.late)
        verdict.server_agrees(baseline, made, Policy())

    return decided(act)


def changed(one: Sample, **more: str | float) -> Sample:
    plain = {name: getattr(one, name) for name in one.__slots__}
    return Sample(**{**plain, **more})


def test_a_fast_run_passes_with_its_figures_and_evidence() -> None:
    said, _, made = latency(outcome(samples([0.01] * 400)))

    assert said is Verdict.PASS
    assert {"requests sent", "failed requests", "p95 GET services, resource, quorum"} <= {m.name for m in made.measures}
    assert made.evidence == ["samples/stub.csv.gz", "samples/stub.json", "samples/stub.svg"]


@pytest.mark.parametrize(
    ("baseline", "why"),
    [
        (outcome(samples([0.01] * 400), cpu=0.9), "it measured itself"),
        (outcome(samples([0.01] * 400), trouble="Locust ended early"), "Locust ended early"),
        (outcome([changed(one, code=DROPPED) if n % 10 == 0 else one for n, one in enumerate(samples([0.01] * 400))]),
         "360 of 400 intended requests were sent"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_believed_is_inconclusive_however_fast_or_slow(baseline: Baseline, why: str) -> None:
    said, reason, _ = latency(baseline)

    assert said is Verdict.ERROR
    assert why in reason


@pytest.mark.parametrize(("seconds", "said"), [(0.2, Verdict.ERROR), (0.08, Verdict.PASS)])
def test_a_late_generator_excuses_a_slow_row_and_takes_nothing_from_a_fast_one(seconds: float, said: Verdict) -> None:
    late = [changed(one, start=one.start + 0.05) for one in samples([seconds] * 400)]
    found, reason, _ = latency(outcome(late))

    assert found is said
    assert ("sent more than 50 ms late" in reason) is (said is Verdict.ERROR)


def test_failed_requests_fail_apart_from_the_percentiles() -> None:
    half = [changed(one, code="refused") if n % 2 else one for n, one in enumerate(samples([0.001] * 1000))]
    said, _, made = latency(outcome(half))

    assert said is Verdict.FAIL
    assert [(one.at, one.observed) for one in made.failures] == [("failed requests", "50.00% (500 x refused)")]


def test_nothing_but_failures_is_a_failure() -> None:
    said, _, made = latency(outcome([changed(one, code="refused") for one in samples([0.001] * 400)]))

    assert said is Verdict.FAIL
    assert made.failures[0].observed == "100.00% (400 x refused)"


@pytest.mark.parametrize(("failed", "said"), [(1, Verdict.PASS), (2, Verdict.FAIL)])
def test_the_error_budget_is_one_in_a_thousand(failed: int, said: Verdict) -> None:
    taken = [changed(one, code="429") if n < failed else one for n, one in enumerate(samples([0.001] * 1000))]

    assert latency(outcome(taken))[0] is said


def test_the_servers_own_histogram_can_fail_what_looks_fast_from_here() -> None:
    said, _, made = latency(outcome(samples([0.01] * 400), server(900, 1000)))

    assert said is Verdict.FAIL
    assert made.failures[0].at == "the API servers' own histogram"
    assert "PUT leases.coordination.k8s.io" in made.failures[0].observed


def test_a_histogram_that_spans_the_target_decides_nothing() -> None:
    said, reason, _ = latency(outcome(samples([0.01] * 400), server(95, 100)))

    assert said is Verdict.ERROR
    assert "not decided by the API servers' histogram" in reason


@pytest.mark.parametrize(
    ("own", "slow", "said"),
    [
        (ServerSide(void="403", refused=True), False, Verdict.NOT_ASSESSED),
        (ServerSide(void="restarted"), False, Verdict.ERROR),
        (ServerSide(void="403", refused=True), True, Verdict.FAIL),
    ],
)
def test_without_the_histogram_nothing_passes(own: ServerSide, slow: bool, said: Verdict) -> None:
    assert latency(outcome(samples([0.5 if slow else 0.01] * 400), own))[0] is said


def test_a_low_share_below_the_target_s_own_edge_is_no_failure() -> None:
    row = ServerRow("GET", "pods", "resource", 1000, 0.05, share(900, 1000, 0.95), 0.04, 0.04)

    assert latency(outcome(samples([0.01] * 400), ServerSide((row,), row.within)))[0] is Verdict.ERROR


def raises(error: Exception) -> Callable[[], Baseline]:
    def send() -> Baseline:
        raise error

    return send


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Forbidden(403, "Forbidden", "pods is forbidden", "/api/v1/pods"), Verdict.NOT_ASSESSED),
        (Unreachable(0, "Refused", "no connection", "/api/v1/pods"), Verdict.ERROR),
        (LoadError("no load was generated"), Verdict.ERROR),
    ],
)
def test_a_load_that_could_not_be_sent_says_why(error: Exception, said: Verdict) -> None:
    verdict_given, reason, _ = decided(lambda made: verdict.sent(raises(error), made))

    assert verdict_given is said
    assert str(error) in reason


def test_warm_up_is_kept_and_not_judged() -> None:
    cold = [changed(one, intended=-1.0, start=-1.0, end=9.0) for one in samples([0.01] * 50)]
    baseline = outcome(samples([0.01] * 400) + cold)

    assert len(baseline.result.samples) == 450
    assert baseline.rows[0].sent == 400
    assert baseline.rows[0].maximum == pytest.approx(0.01)


def test_dropped_arrivals_count_as_failed_and_nothing_sent_is_all_failed() -> None:
    taken = [changed(one, code=DROPPED) if n < 4 else one for n, one in enumerate(samples([0.01] * 100))]

    assert failed_share(taken) == 0.04
    assert failed_share([]) == 1.0
    assert doubts([], Gates(0.95, 0.8), intended=100, generator_cpu=0.0)
