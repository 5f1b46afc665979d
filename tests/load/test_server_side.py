"""The API servers' own histograms: what was counted between two scrapes, or nothing at all."""

from __future__ import annotations

import pytest

from load.server_side import SLI, WHOLE, Scrape, VoidSeriesError, difference, parse, rows, total

EDGES = ("0.05", "0.1", "0.2", "+Inf")


def series(metric: str, labels: str, counts: tuple[int, ...], seconds: float) -> str:
    lines = [f'{metric}_bucket{{{labels},le="{edge}"}} {count}' for edge, count in zip(EDGES, counts, strict=True)]
    return "\n".join((*lines, f"{metric}_sum{{{labels}}} {seconds}", f"{metric}_count{{{labels}}} {counts[-1]}"))


def labels(verb: str, resource: str, scope: str, group: str = "", subresource: str = "") -> str:
    return (
        f'component="apiserver",group="{group}",resource="{resource}",scope="{scope}",'
        f'subresource="{subresource}",verb="{verb}",version="v1"'
    )


def page(*parts: str, started: float = 100.0) -> str:
    return "\n".join(("# HELP something", *parts, f"process_start_time_seconds {started}", ""))


PODS = labels("LIST", "pods", "cluster")


def test_what_was_there_before_is_not_counted() -> None:
    before = parse("a", page(series(SLI, PODS, (10, 10, 10, 10), 0.1), series(WHOLE, PODS, (10, 10, 10, 10), 0.2)))
    after = parse("a", page(series(SLI, PODS, (10, 28, 30, 30), 1.5), series(WHOLE, PODS, (10, 28, 30, 30), 2.2)))

    [row] = rows(difference([before], [after]), 0.1)

    assert (row.verb, row.resource, row.scope, row.requests, row.edge) == ("LIST", "pods", "cluster", 20, 0.1)
    assert row.within.value == 18 / 20
    assert row.mean == pytest.approx(1.4 / 20)
    assert row.whole_mean == pytest.approx(2.0 / 20)


def test_servers_are_added_up_and_new_series_count_from_zero() -> None:
    empty = page(series(SLI, labels("GET", "nodes", "resource"), (1, 1, 1, 1), 0.1))
    full = page(
        series(SLI, labels("GET", "nodes", "resource"), (1, 1, 1, 1), 0.1), series(SLI, PODS, (0, 3, 4, 4), 0.5)
    )
    servers = ("a", "b")

    found = rows(difference([parse(s, empty) for s in servers], [parse(s, full) for s in servers]), 0.1)

    assert [(row.resource, row.requests) for row in found] == [("pods", 8)]
    assert total(found).value == 6 / 8


def test_streams_and_requests_without_a_resource_are_left_out() -> None:
    text = page(
        series(SLI, labels("WATCH", "pods", "cluster"), (0, 0, 0, 9), 900),
        series(SLI, labels("GET", "", ""), (0, 0, 0, 9), 900),
        series(SLI, labels("GET", "pods", "resource", subresource="log"), (0, 0, 0, 9), 900),
        series(SLI, labels("PUT", "leases", "resource", group="coordination.k8s.io"), (5, 5, 5, 5), 0.1),
    )

    [row] = rows(difference([Scrape("a", 100.0, {})], [parse("a", text)]), 0.1)

    assert (row.verb, row.resource) == ("PUT", "leases.coordination.k8s.io")


def test_the_share_is_counted_at_an_edge_and_never_interpolated() -> None:
    grown = difference([Scrape("a", 100.0, {})], [parse("a", page(series(SLI, PODS, (1, 2, 3, 4), 1)))])

    assert [row.edge for row in rows(grown, 0.15)] == [0.1]
    assert [row.within.value for row in rows(grown, 0.15)] == [0.5]
    with pytest.raises(VoidSeriesError, match="no bucket edge"):
        rows(grown, 0.01)


def test_an_old_server_without_the_objective_s_series_is_read_by_the_other() -> None:
    grown = difference([Scrape("a", 100.0, {})], [parse("a", page(series(WHOLE, PODS, (1, 2, 3, 4), 1)))])

    assert [row.within.value for row in rows(grown, 0.1)] == [0.5]


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ([parse("a", page(series(SLI, PODS, (9, 9, 9, 9), 1), started=200.0))], "restarted"),
        ([parse("b", page(series(SLI, PODS, (9, 9, 9, 9), 1)))], "was not scraped after the run"),
        ([parse("a", page(series(SLI, PODS, (3, 3, 3, 3), 1)))], "went backwards"),
    ],
)
def test_scrapes_that_do_not_belong_together_are_void(after: list[Scrape], why: str) -> None:
    before = parse("a", page(series(SLI, PODS, (5, 5, 5, 5), 0.5)))

    with pytest.raises(VoidSeriesError, match=why):
        difference([before], after)


def test_a_page_without_the_series_is_void_and_no_request_is_no_share() -> None:
    with pytest.raises(VoidSeriesError, match="lacks"):
        parse("a", "process_start_time_seconds 5\n")
    with pytest.raises(VoidSeriesError, match="counted no request"):
        total(())
