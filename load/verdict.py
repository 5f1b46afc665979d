"""From the read baseline to a verdict: first whether it can be believed, then whether each percentile is within its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fixtures.limits import LOAD_ERROR_RATIO
from fixtures.policy import Policy
from fixtures.readiness import Findings
from load.baseline import Baseline
from load.judgement import Outcome, RowStatistics, few

TOP = 5
"""How many kinds of failure a finding names."""


def believable(baseline: Baseline, findings: Findings, policy: Policy) -> None:
    """Attach the evidence, and end as inconclusive where the run as a whole decides nothing.

    Failed requests are judged first and apart: they are in no percentile, so that a server that refuses everything at once
    never looks fast.
    """
    for path in baseline.evidence:
        findings.attach(path)
    result = baseline.result
    findings.measure("requests sent", result.sent, "requests")
    findings.measure("failed requests", baseline.failed_share * 100, "%", policy.limit(LOAD_ERROR_RATIO) * 100)
    findings.measure("generator", result.generator_cpu, "cores")
    if baseline.server.total is not None:
        findings.measure("within the target, by the API servers", baseline.server.total.value * 100, "%")
    codes: dict[str, int] = {}
    for row in baseline.rows:
        for code, count in row.failed.items():
            codes[code] = codes.get(code, 0) + count
    worst = ", ".join(f"{count} x {code}" for code, count in sorted(codes.items(), key=lambda one: -one[1])[:TOP])
    findings.expect(
        baseline.failed_share <= policy.limit(LOAD_ERROR_RATIO),
        "failed requests",
        expected=f"at most {policy.limit(LOAD_ERROR_RATIO):.2%} of all requests",
        observed=f"{baseline.failed_share:.2%}" + (f" ({worst})" if worst else ""),
        look="the samples with another code than 200",
    )
    if baseline.doubts and not findings.failures:
        findings.inconclusive("; ".join(baseline.doubts))


def percentile_within(
    rows: Iterable[RowStatistics], quantile: float, bound: Callable[[RowStatistics], float], findings: Findings
) -> None:
    """Hold a percentile of every judged row against its bound, in seconds.

    A row whose interval lies beyond is a finding; one whose interval spans the bound, or that has too few answers, leaves
    the whole inconclusive unless another row fails.
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
        said = f"{tail.interval.value * 1000:.1f} ms, between {_ms(tail.lower)} and {_ms(tail.upper)} with 95 % confidence"
        if outcome is Outcome.UNDECIDED:
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
        findings.inconclusive("not decided by these samples (a longer run may): " + "; ".join(undecided))


def _ms(value: float | None) -> str:
    return "an unknown bound" if value is None else f"{value * 1000:.1f} ms"
