"""The read baseline as one measurement: prepare, scrape, send, scrape again, judge, and write the evidence."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.api import Api, ApiError, Forbidden
from fixtures.api_connect import open_link
from fixtures.limits import (
    API_LATENCY_P95,
    LOAD_ACHIEVED,
    LOAD_GENERATOR_CPU,
    LOAD_READ_RATE,
    LOAD_READ_SECONDS,
    LOAD_SCRAPE_DEADLINE,
    LOAD_SEND_LAG,
    Limit,
)
from load import mix, picture, server_side
from load.judgement import Gates, RowStatistics, doubts, failed_share, lateness, statistics
from load.percentiles import Interval
from load.runner import LoadResult, Progress, run
from load.server_side import Scrape, ServerRow, VoidSeriesError

SEED = 20_190_519
"""The schedule's seed: every run sends the same arrivals, so that two runs differ by the cluster alone."""

InForce = Callable[[Limit], float]
"""The value of a limit in force: the policy file's, else the table's."""


@dataclass(frozen=True, slots=True)
class ServerSide:
    """The API servers' own view of the run. `void` says why there is none, `refused` that it was not allowed."""

    rows: tuple[ServerRow, ...] = ()
    total: Interval | None = None
    void: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the read baseline found out.

    `rows` are by verb, resource, scope and reading, `merged` with both readings together, as Kubernetes' SLO has
    them; `doubts` are reasons why none of it decides anything, `late` why a slow row does not; `evidence` are paths
    inside the bundle.
    """

    result: LoadResult
    rows: tuple[RowStatistics, ...]
    merged: tuple[RowStatistics, ...]
    failed_share: float
    doubts: tuple[str, ...]
    late: str
    server: ServerSide
    evidence: tuple[str, ...]


def measure(
    kubeconfig: Path | None,
    context: str | None,
    bundle: Path,
    *,
    servers: tuple[str, ...] = (),
    in_force: InForce = lambda limit: limit.value,
    progress: Progress | None = None,
) -> Baseline:
    """Run the read baseline against a cluster and write `samples/read-baseline.{csv.gz,json,svg}` into the bundle.

    `servers` are the URLs of the API servers (default: the kubeconfig's one). Raises ApiError for a cluster that
    refuses or fails a row of the mix, LoadError for a kubeconfig that load cannot use and when nothing was sent.
    """
    target = mix.target(open_link(kubeconfig, context, None), servers)
    apis = [Api.connect(kubeconfig, context, server=server, read_only=True) for server in target.servers]
    scenario = mix.read_baseline(apis[0])
    before = _scrape(apis)
    result = run(
        scenario,
        target,
        bundle / "samples",
        rate=in_force(LOAD_READ_RATE),
        seconds=in_force(LOAD_READ_SECONDS),
        seed=SEED,
        progress=progress,
    )
    server = _server_side(before, _scrape(apis), in_force(API_LATENCY_P95))
    baseline = judged(result, server, in_force)
    _write(baseline, bundle, in_force(API_LATENCY_P95))
    return baseline


def judged(result: LoadResult, server: ServerSide, in_force: InForce) -> Baseline:
    """The statistics of a run, and whether it decides anything. They come from the samples file alone."""
    gates = Gates(in_force(LOAD_ACHIEVED), in_force(LOAD_GENERATOR_CPU))
    measured = result.measured
    return Baseline(
        result=result,
        rows=statistics(measured),
        merged=statistics(measured, by_reading=False),
        failed_share=failed_share(measured),
        doubts=doubts(
            measured, gates, intended=result.intended, generator_cpu=result.generator_cpu, trouble=result.trouble
        ),
        late=lateness(measured, in_force(LOAD_SEND_LAG)),
        server=server,
        evidence=tuple(f"samples/{result.scenario.name}.{ending}" for ending in ("csv.gz", "json", "svg")),
    )


def _scrape(apis: Sequence[Api]) -> list[Scrape] | ServerSide:
    try:
        return [server_side.parse(api.host, api.text("/metrics", timeout=LOAD_SCRAPE_DEADLINE.value)) for api in apis]
    except Forbidden as error:
        return ServerSide(void=f"the metrics of the API server may not be read: {error}", refused=True)
    except (ApiError, VoidSeriesError) as error:
        return ServerSide(void=str(error))


def _server_side(before: list[Scrape] | ServerSide, after: list[Scrape] | ServerSide, bound: float) -> ServerSide:
    if isinstance(before, ServerSide):
        return before
    if isinstance(after, ServerSide):
        return after
    try:
        rows = server_side.rows(server_side.difference(before, after), bound)
        return ServerSide(rows, server_side.total(rows))
    except VoidSeriesError as error:
        return ServerSide(void=str(error))


def _write(baseline: Baseline, bundle: Path, bound: float) -> None:
    result = baseline.result
    place = bundle / "samples" / result.scenario.name
    place.with_suffix(".json").write_text(json.dumps(summary(baseline), indent=1) + "\n")
    panels = [
        picture.Panel(
            row,
            [one for one in result.measured if one.row == (row.verb, row.resource, row.scope, row.reading)],
            bound if row.judged else None,
            _note(row, baseline),
        )
        for row in baseline.rows
    ]
    subtitle = (
        f"{result.rate:g} requests/s, open loop, {result.seconds:g} s from {result.started:%Y-%m-%d %H:%M:%S} UTC; "
        "left: each request over these seconds, right: latency by percentile"
    )
    drawn = picture.draw("API server latency, read baseline", subtitle, result.seconds, panels)
    place.with_suffix(".svg").write_text(drawn)


def _note(row: RowStatistics, baseline: Baseline) -> str:
    if not row.judged:
        return "opening of the stream; no SLO speaks of streams"
    own = server_row(row, baseline.server.rows)
    if own is None or row.mean is None:
        return ""
    means = f"mean {row.mean * 1000:.1f} ms, in the server {own.mean * 1000:.1f} ms (both readings)"
    return f"{means}, {own.within.value:.2%} within {own.edge * 1000:g} ms"


def server_row(row: RowStatistics, rows: Sequence[ServerRow]) -> ServerRow | None:
    """The API servers' row of the same verb, resource and scope; they do not tell the readings apart."""
    name = (row.verb, row.resource, row.scope)
    return next((one for one in rows if (one.verb, one.resource, one.scope) == name), None)


def summary(baseline: Baseline) -> dict[str, Any]:
    """The run and its statistics as plain JSON values; times in seconds."""
    result = baseline.result
    return {
        "scenario": result.scenario.name,
        "started": result.started.isoformat(),
        "monotonic-origin": result.origin,
        "rate": result.rate,
        "seconds": result.seconds,
        "seed": result.seed,
        "intended": result.intended,
        "sent": result.sent,
        "connections": result.connections,
        "generator-cores": result.generator_cpu,
        "failed-share": baseline.failed_share,
        "doubts": list(baseline.doubts),
        "late": baseline.late,
        "requests": {row.label: row.path for row in result.scenario.rows},
        "rows": [dataclasses.asdict(row) for row in baseline.rows],
        "rows-both-readings": [dataclasses.asdict(row) for row in baseline.merged],
        "server": dataclasses.asdict(baseline.server),
    }
