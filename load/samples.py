"""Raw samples: a gzipped CSV that is complete up to its last second even when its writer is killed."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("intended", "start", "end", "verb", "resource", "scope", "reading", "code", "bytes")

DROPPED = "dropped"
"""The code of an arrival that was never sent, because too many requests were in flight."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One arrival. Times are seconds from the start of the measured time, by one monotonic clock.

    `code` is the HTTP status, or what went wrong: refused, reset, closed, timeout, tls, network, wrong-answer, dropped.
    A dropped arrival has its intended time as start and end.
    """

    intended: float
    start: float
    end: float
    verb: str
    resource: str
    scope: str
    reading: str
    code: str
    bytes: int

    @property
    def ok(self) -> bool:
        """Whether the request was answered, with success and the right kind."""
        return self.code == "200"

    @property
    def latency(self) -> float:
        """Seconds from the intended start, so that a request that waited for its turn counts its waiting."""
        return self.end - self.intended

    @property
    def lag(self) -> float:
        """Seconds that the generator was late."""
        return self.start - self.intended

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Verb, resource, scope and reading."""
        return (self.verb, self.resource, self.scope, self.reading)


class Writer:
    """Appends samples; `flush` makes everything so far readable, whatever happens to the process afterwards."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wb", compresslevel=6)  # noqa: SIM115  closed by close()
        self._file.write((",".join(COLUMNS) + "\n").encode())
        self.flush()

    def add(self, one: Sample) -> None:
        """Write one sample, its times to the microsecond."""
        times = f"{one.intended:.6f},{one.start:.6f},{one.end:.6f}"
        self._file.write(f"{times},{','.join(one.row)},{one.code},{one.bytes}\n".encode())

    def flush(self) -> None:
        """End the compressor's block and hand it to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Write gzip's trailer: a file without it was cut short."""
        self._file.close()


def read(path: Path) -> tuple[list[Sample], bool]:
    """The samples of a file, and whether it is whole. A half line at the end of a file cut short is left out.

    Raises OSError for a file that cannot be read, ValueError naming the line that is no sample.
    """
    text, whole = _text(path)
    lines = csv.reader(io.StringIO(text))
    if tuple(next(lines, ())) != COLUMNS:
        raise ValueError(f"{path}: the first line does not name the columns {', '.join(COLUMNS)}")
    return list(_samples(lines, path)), whole


def _samples(lines: Iterator[list[str]], path: Path) -> Iterator[Sample]:
    for number, cells in enumerate(lines, 2):
        try:
            intended, start, end, verb, resource, scope, reading, code, size = cells
            yield Sample(float(intended), float(start), float(end), verb, resource, scope, reading, code, int(size))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not a sample ({error})") from error


def _text(path: Path) -> tuple[str, bool]:
    parts: list[bytes] = []
    with gzip.open(path, "rb") as file:
        try:
            while part := file.read1(1 << 16):
                parts.append(part)
        except EOFError:
            text = b"".join(parts)
            return text[: text.rfind(b"\n") + 1].decode(), False
    return b"".join(parts).decode(), True
