"""The API servers' own latency histograms over a run: scraped before and after, subtracted, as exact shares."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fixtures.limits import LOAD_CONFIDENCE
from load.percentiles import Interval, share
from load.scenario import STREAMED

SLI = "apiserver_request_sli_duration_seconds"
"""Without the time in webhooks and in priority-and-fairness queues: what the requirement and Kubernetes' SLO judge."""

WHOLE = "apiserver_request_duration_seconds"
"""With them: what a client waits for."""

_EXCLUDED = frozenset({"proxy", "attach", "log", "exec", "portforward"})
_LINE = re.compile(rf"^({SLI}|{WHOLE})_(bucket|sum|count)\{{([^}}]*)\}} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_STARTED = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)

Key = tuple[str, str, str, str, str]
"""Metric, verb, resource (with its group), scope, and bucket edge ("sum" and "count" for those)."""


class VoidSeriesError(Exception):
    """Two scrapes that cannot be subtracted; the message says why."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One server's counters at one moment. `started` is the process' start in seconds since the epoch."""

    server: str
    started: float
    counters: dict[Key, float]


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One verb, resource and scope over the run, all clients and all servers. Times in seconds.

    `within` is the share of requests within `edge`, a bucket's; `mean` and `whole_mean` are without and with the time
    in webhooks and queues.
    """

    verb: str
    resource: str
    scope: str
    requests: int
    edge: float
    within: Interval
    mean: float
    whole_mean: float | None


def parse(server: str, text: str) -> Scrape:
    """The counters of one answer of /metrics. Raises VoidSeriesError for a text without them."""
    counters: dict[Key, float] = defaultdict(float)
    for metric, part, inside, value in _LINE.findall(text):
        labels = dict(_LABEL.findall(inside))
        if not labels.get("resource") or labels.get("verb") in STREAMED or labels.get("subresource") in _EXCLUDED:
            continue
        names = (labels["resource"], labels.get("subresource", ""))
        resource = "/".join(name for name in names if name) + (f".{labels['group']}" if labels.get("group") else "")
        counters[metric, labels["verb"], resource, labels["scope"], labels.get("le", part)] += float(value)
    started = _STARTED.search(text)
    if not started or not counters:
        raise VoidSeriesError(f"{server}/metrics lacks {SLI} or process_start_time_seconds")
    return Scrape(server, float(started[1]), dict(counters))


def difference(before: Sequence[Scrape], after: Sequence[Scrape]) -> dict[Key, float]:
    """What was counted between the scrapes, summed over the servers.

    Raises VoidSeriesError where a server is missing, was restarted, or is another one behind the same address.
    """
    total: dict[Key, float] = defaultdict(float)
    later = {scrape.server: scrape for scrape in after}
    for first in before:
        second = later.get(first.server)
        if second is None:
            raise VoidSeriesError(f"{first.server} was not scraped after the run")
        if second.started != first.started:
            raise VoidSeriesError(f"{first.server} was restarted meanwhile, or its address leads to several servers")
        for key, value in second.counters.items():
            grown = value - first.counters.get(key, 0.0)
            if grown < 0:
                raise VoidSeriesError(f"{first.server}: a counter went backwards")
            total[key] += grown
    return dict(total)


def rows(grown: dict[Key, float], bound: float) -> tuple[ServerRow, ...]:
    """Each verb, resource and scope that was asked for, most requests first.

    Shares are counted at the largest bucket edge within `bound` (s), so that nothing is interpolated. Raises
    VoidSeriesError where no edge is that small.
    """
    metric = SLI if any(key[0] == SLI for key in grown) else WHOLE
    edges = {float(key[4]) for key in grown if key[0] == metric and key[4] not in ("sum", "count")}
    fitting = [edge for edge in edges if edge <= bound]
    if not fitting:
        raise VoidSeriesError(f"no bucket edge of {metric} is within {bound:g} s")
    names = {key[1:4] for key, value in grown.items() if key[0] == metric and key[4] == "count" and value > 0}
    found = [_row(grown, metric, name, max(fitting)) for name in names]
    return tuple(sorted(found, key=lambda row: (-row.requests, row.verb, row.resource, row.scope)))


def _row(grown: dict[Key, float], metric: str, name: tuple[str, str, str], edge: float) -> ServerRow:
    count = round(grown[metric, *name, "count"])
    waited = grown.get((WHOLE, *name, "count"), 0.0)
    return ServerRow(
        *name,
        requests=count,
        edge=edge,
        within=share(round(grown[metric, *name, f"{edge:g}"]), count, LOAD_CONFIDENCE.value),
        mean=grown[metric, *name, "sum"] / count,
        whole_mean=grown[WHOLE, *name, "sum"] / waited if waited else None,
    )


def total(found: Iterable[ServerRow]) -> Interval:
    """The share of all requests of all rows within the edge. Raises VoidSeriesError where there were none."""
    counts = [(round(row.within.value * row.requests), row.requests) for row in found]
    requests = sum(count for _, count in counts)
    if not requests:
        raise VoidSeriesError("the API servers counted no request during the run")
    return share(sum(hits for hits, _ in counts), requests, LOAD_CONFIDENCE.value)
