"""Raw samples survive: what was flushed can be read, whatever happened to the writer."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from load.samples import Sample, Writer, read

unhurried = settings(deadline=None, max_examples=40)
moments = some.floats(-3, 300).map(lambda moment: round(moment, 6))
written = some.builds(
    Sample,
    moments,
    moments,
    moments,
    some.sampled_from(["GET", "LIST"]),
    some.just("pods"),
    some.sampled_from(["resource", "cluster"]),
    some.sampled_from(["quorum", "cache"]),
    some.sampled_from(["200", "429", "refused", "dropped"]),
    some.integers(0, 10**9),
)


@unhurried
@given(samples=some.lists(written, max_size=20))
def test_what_is_written_is_read(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("samples") / "samples.csv.gz"
    writer = Writer(path)
    for one in samples:
        writer.add(one)
    writer.close()

    assert read(path) == (samples, True)


@unhurried
@given(place=some.integers(0, 10_000))
def test_a_file_cut_anywhere_gives_the_samples_before_the_cut(
    place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("samples") / "samples.csv.gz"
    samples = [Sample(at, at, at + 1, "GET", "pods", "resource", "cache", "200", at) for at in range(30)]
    writer = Writer(path)
    head = path.stat().st_size
    for number, one in enumerate(samples):
        writer.add(one)
        if number % 5 == 0:
            writer.flush()
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: head + place % (len(whole) - head)])

    found, closed = read(path)

    assert not closed
    assert found == samples[: len(found)]


def test_a_flush_is_enough_without_a_close(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv.gz"
    writer = Writer(path)
    samples = [Sample(1.5, 1.5, 2.0, "GET", "pods", "resource", "cache", "200", at) for at in range(300)]
    for one in samples:
        writer.add(one)
    writer.flush()

    found = read(path)
    writer.close()

    assert found == (samples, False)


def test_something_else_is_no_file_of_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(ValueError, match="does not name the columns"):
        read(path)

    header = b"intended,start,end,verb,resource,scope,reading,code,bytes\n"
    path.write_bytes(gzip.compress(header + b"1,2,3,GET,pods,resource,cache,200,5\n1,2,soon,GET,a,b,c,200,5\n"))
    with pytest.raises(ValueError, match="line 3: not a sample"):
        read(path)


def test_latency_counts_from_the_intended_start() -> None:
    one = Sample(1.0, 1.5, 2.0, "GET", "pods", "resource", "cache", "200", 1)

    assert one.latency == 1.0
    assert one.lag == 0.5
