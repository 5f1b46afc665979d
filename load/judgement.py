"""From samples to outcomes: statistics of each row, reasons to doubt a whole run, percentiles held against an SLO."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fixtures.limits import LOAD_BLOCK, LOAD_CONFIDENCE, LOAD_RESAMPLES
from load.percentiles import Interval, block_bootstrap, minimum_samples, nearest_rank, percentile
from load.samples import DROPPED, Sample
from load.scenario import STREAMED


class Outcome(StrEnum):
    """How a percentile stands to its bound."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Tail:
    """A high percentile in seconds, with its interval by order statistics and by block bootstrap."""

    quantile: float
    interval: Interval
    blocks: tuple[float, float]

    @property
    def lower(self) -> float | None:
        """The lower of both intervals' lower bounds; None where the samples give none."""
        return None if self.interval.lower is None else min(self.interval.lower, self.blocks[0])

    @property
    def upper(self) -> float | None:
        """The higher of both intervals' upper bounds; None where the samples give none."""
        return None if self.interval.upper is None else max(self.interval.upper, self.blocks[1])

    def against(self, bound: float) -> Outcome:
        """Met when the upper bound is within `bound` (s), missed when even the lower one is beyond, else undecided."""
        if self.upper is not None and self.upper <= bound:
            return Outcome.MET
        if self.lower is not None and self.lower > bound:
            return Outcome.MISSED
        return Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class RowStatistics:
    """One row's latencies in seconds, successes only. `reading` is "" where both readings were taken together."""

    verb: str
    resource: str
    scope: str
    reading: str
    sent: int
    failed: dict[str, int]
    mean: float | None
    median: float | None
    maximum: float | None
    p95: Tail | None
    p99: Tail | None

    @property
    def label(self) -> str:
        """The row's name in tables."""
        return ", ".join(part for part in (f"{self.verb} {self.resource}", self.scope, self.reading) if part)

    @property
    def answered(self) -> int:
        """How many requests were answered with success."""
        return self.sent - sum(self.failed.values())

    @property
    def judged(self) -> bool:
        """Whether an SLO speaks of this row: streams are left out."""
        return self.verb not in STREAMED


def statistics(samples: Iterable[Sample], *, by_reading: bool = True, seed: int = 0) -> tuple[RowStatistics, ...]:
    """The statistics of each row, in the order of their names. They depend on the samples alone, not on their order."""
    rows: dict[tuple[str, str, str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        verb, resource, scope, reading = sample.row
        rows[verb, resource, scope, reading if by_reading else ""].append(sample)
    return tuple(_row(name, rows[name], seed) for name in sorted(rows))


def _row(name: tuple[str, str, str, str], samples: Sequence[Sample], seed: int) -> RowStatistics:
    good = [sample for sample in samples if sample.ok]
    latencies = sorted(sample.latency for sample in good)
    return RowStatistics(
        *name,
        sent=len(samples),
        failed=dict(sorted(Counter(sample.code for sample in samples if not sample.ok).items())),
        mean=sum(latencies) / len(latencies) if latencies else None,
        median=latencies[nearest_rank(len(latencies), 0.5) - 1] if latencies else None,
        maximum=latencies[-1] if latencies else None,
        p95=_tail(good, 0.95, seed),
        p99=_tail(good, 0.99, seed),
    )


def _tail(good: Sequence[Sample], quantile: float, seed: int) -> Tail | None:
    if not good:
        return None
    return Tail(
        quantile,
        percentile([sample.latency for sample in good], quantile, LOAD_CONFIDENCE.value),
        block_bootstrap(
            [(sample.intended, sample.latency) for sample in good],
            quantile,
            LOAD_CONFIDENCE.value,
            block=LOAD_BLOCK.value,
            resamples=int(LOAD_RESAMPLES.value),
            seed=seed,
        ),
    )


@dataclass(frozen=True, slots=True)
class Gates:
    """What a run must keep for its percentiles to mean anything: a share and cores (limits LOAD_*)."""

    achieved: float
    generator_cpu: float


def doubts(
    samples: Sequence[Sample], gates: Gates, *, intended: int, generator_cpu: float, trouble: str = ""
) -> tuple[str, ...]:
    """The reasons why a run as a whole decides nothing; none for a run to be believed."""
    found = [trouble] if trouble else []
    sent = sum(sample.code != DROPPED for sample in samples)
    if sent < gates.achieved * intended:
        found.append(f"{sent} of {intended} intended requests were sent, fewer than {gates.achieved:.0%}")
    if generator_cpu > gates.generator_cpu:
        found.append(f"the generator used {generator_cpu:.2f} cores, above {gates.generator_cpu:g}: it measured itself")
    return tuple(found)


def lateness(samples: Sequence[Sample], limit: float) -> str:
    """Why a missed bound may be this machine's doing, "" where it sent in time: within `limit` seconds at p95.

    A late start only makes latencies longer, since they count from the intended one: what is met all the same is met.
    """
    lags = sorted(sample.lag for sample in samples)
    lag = lags[nearest_rank(len(lags), 0.95) - 1] if lags else 0.0
    if lag <= limit:
        return ""
    late = f"1 in 20 requests was sent more than {lag * 1000:.0f} ms late, above {limit * 1000:g} ms"
    return f"{late}: the machine that measures is too busy"


def few(row: RowStatistics, quantile: float) -> str:
    """Why the row has too few answers for this quantile, "" where it has enough."""
    needed = minimum_samples(quantile, LOAD_CONFIDENCE.value)
    if row.answered >= needed:
        return ""
    return f"{row.label}: {row.answered} answers, p{quantile * 100:g} needs {needed}"


def failed_share(samples: Sequence[Sample]) -> float:
    """The share of failed requests, dropped ones included; 1 where nothing was sent at all."""
    return sum(not sample.ok for sample in samples) / len(samples) if samples else 1.0
