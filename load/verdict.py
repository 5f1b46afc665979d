"""From the read baseline to a verdict: whether it can be believed, then whether each figure is within its bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from fixtures.api import ApiError, Forbidden
from fixtures.limits import API_LATENCY_P95, API_LATENCY_SHARE, LOAD_ERROR_RATIO
from fixtures.policy import Policy
from fixtures.readiness import Findings
from load.baseline import Baseline
from load.judgement import Outcome, RowStatistics, few
from load.scenario import LoadError

TOP = 5
"""How many kinds of failure a finding names."""


def sent(send: Callable[[], Baseline], findings: Findings) -> Baseline:
    """The scenario's outcome; ends the check where it may not be sent (not assessed) or could not be (inconclusive)."""
    try:
        return send()
    except Forbidden as error:
        findings.not_assessed(f"the load's own requests are refused: {error}")
    except (ApiError, LoadError) as error:
        findings.inconclusive(f"the load could not be sent: {error}")


def believable(baseline: Baseline, findings: Findings, policy: Policy) -> None:
    """Attach the evidence, judge the failed requests, and end as inconclusive where the run as a whole decides nothing.

    Failed requests are judged apart: they are in no percentile, so that a server that refuses everything at once never
    looks fast.
    """
    for path in baseline.evidence:
        findings.attach(path)
    budget = policy.limit(LOAD_ERROR_RATIO)
    findings.measure("requests sent", baseline.result.sent, "requests")
    findings.measure("failed requests", baseline.failed_share * 100, "%", budget * 100)
    findings.measure("generator", baseline.result.generator_cpu, "cores")
    codes: Counter[str] = Counter()
    for row in baseline.rows:
        codes.update(row.failed)
    worst = ", ".join(f"{count} x {code}" for code, count in codes.most_common(TOP))
    findings.expect(
        baseline.failed_share <= budget,
        "failed requests",
        expected=f"at most {budget:.2%} of all requests",
        observed=f"{baseline.failed_share:.2%}" + (f" ({worst})" if worst else ""),
        look="the samples with another code than 200",
    )
    if baseline.doubts:
        findings.inconclusive("; ".join(baseline.doubts))


def percentile_within(
    rows: Iterable[RowStatistics],
    quantile: float,
    bound: Callable[[RowStatistics], float],
    findings: Findings,
    late: str = "",
) -> None:
    """Hold a percentile of every judged row against its bound, in seconds.

    A row whose interval lies beyond is a finding; one whose interval spans the bound, or that has too few answers,
    leaves the whole inconclusive unless another row fails. `late` says why a row beyond may be this machine's doing.
    """
    undecided = []
    for row in rows:
        if not row.judged:
            continue
        scarce = few(row, quantile)
        tail = row.p95 if quantile == 0.95 else row.p99
        if scarce or tail is None:
            undecided.append(scarce or f"{row.label}: no answers")
            continue
        name = f"p{quantile * 100:g} {row.label}"
        findings.measure(name, tail.interval.value * 1000, "ms", bound(row) * 1000)
        outcome = tail.against(bound(row))
        between = f"between {_ms(tail.lower)} and {_ms(tail.upper)} with 95 % confidence"
        said = f"{tail.interval.value * 1000:.1f} ms, {between}"
        if outcome is Outcome.UNDECIDED or (outcome is Outcome.MISSED and late):
            undecided.append(f"{row.label}: {said}")
            continue
        findings.expect(
            outcome is Outcome.MET,
            name,
            expected=f"below {bound(row) * 1000:g} ms",
            observed=said,
            look="samples/read-baseline.svg in the bundle",
        )
    if undecided and not findings.failures:
        hint = late or "a longer run may decide"
        findings.inconclusive(f"not decided by these samples ({hint}): " + "; ".join(undecided))


def server_agrees(baseline: Baseline, findings: Findings, policy: Policy) -> None:
    """Hold the API servers' own histogram, of all requests of all clients meanwhile, against the same target.

    What was sent from here is reads alone; the histogram also has the writes of every controller. Without it the
    property is not assessed (refused) or inconclusive (void), unless a percentile failed already.
    """
    server, wanted = baseline.server, policy.limit(API_LATENCY_SHARE)
    if server.total is None:
        if findings.failures:
            return
        if server.refused:
            findings.not_assessed(f"{server.void}; the percentiles measured here are indicative only")
        findings.inconclusive(f"the API servers' own histogram is void: {server.void}")
    share, edge = server.total, server.rows[0].edge
    lower, upper = share.lower or 0.0, 1.0 if share.upper is None else share.upper
    findings.measure(f"API servers: within {edge * 1000:g} ms", share.value * 100, "%", wanted * 100)
    said = f"{share.value:.2%} of {share.n} requests, between {lower:.2%} and {upper:.2%} with 95 % confidence"
    # At an edge below the target a low share decides nothing: the missing requests may lie in between.
    missed = upper < wanted and edge == policy.limit(API_LATENCY_P95)
    if lower < wanted and not missed:
        if not findings.failures:
            findings.inconclusive(f"not decided by the API servers' histogram: {said}")
        return
    slowest = sorted(server.rows, key=lambda row: row.requests * (row.within.value - 1))[:TOP]
    names = ", ".join(f"{row.verb} {row.resource} ({row.scope})" for row in slowest if row.within.value < 1)
    findings.expect(
        not missed,
        "the API servers' own histogram",
        expected=f"at least {wanted:.0%} of all requests within {edge * 1000:g} ms",
        observed=said + (f"; most of the slow ones: {names}" if names else ""),
        look="server in samples/read-baseline.json in the bundle",
    )


def _ms(value: float | None) -> str:
    return "an unknown bound" if value is None else f"{value * 1000:.1f} ms"
