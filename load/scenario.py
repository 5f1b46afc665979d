"""What a load run is made of: rows (requests with a weight), the scenario, the target and the plan of one run."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAN = "KUBEWORTHY_LOAD_PLAN"
"""The environment variable that names the plan's file to the generating process."""

STREAMED = frozenset({"WATCH", "WATCHLIST", "CONNECT", "PROXY"})
"""Verbs that Kubernetes' SLO and the requirement leave out: their duration is the length of a stream."""


class LoadError(Exception):
    """A load that could not be sent at all; the message says why, and shows what Locust wrote where that helps."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result table: a request and how often it occurs.

    `verb`, `resource`, `group` and `scope` (resource, namespace, cluster) are the labels of the API server's own
    metrics; `reading` is "quorum" (etcd is asked) or "cache" (`resourceVersion=0`); `kind` is what the answer must
    be; `weight` is the row's share of the mix.
    """

    verb: str
    resource: str
    scope: str
    reading: str
    path: str
    kind: str
    weight: int
    group: str = ""

    @property
    def name(self) -> tuple[str, str, str, str]:
        """Verb, resource, scope and reading: what tells rows apart."""
        return (self.verb, self.resource, self.scope, self.reading)

    @property
    def label(self) -> str:
        """The row's name in tables, such as "LIST pods, cluster, quorum"."""
        return f"{self.verb} {self.resource}, {self.scope}, {self.reading}"

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream, whose opening is measured but not held to an SLO."""
        return self.verb in STREAMED


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named mix of rows, and the locustfile that sends them."""

    name: str
    locustfile: Path
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """The API servers that are asked, and as whom. `servers` are base URLs; they share the requests evenly.

    `ca`, `certificate` and `key` are paths of PEM files; empty strings mean the system's CAs, no client certificate and
    no token.
    """

    servers: tuple[str, ...]
    ca: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""
    verify: bool = True
    server_name: str = ""

    def tls(self) -> ssl.SSLContext:
        """The TLS settings of a connection. Raises OSError or ssl.SSLError for files that cannot be used."""
        context = ssl.create_default_context(cafile=self.ca or None)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the generating process needs. It holds the token, so its file is readable by the owner only.

    `rate` is in requests a second; `seconds`, `warm_up` and `deadline` (of one request) are in seconds; `connections` are
    opened beforehand; `progress` is an inherited file descriptor for JSON lines; `parent` is the process that the
    generator dies with.
    """

    rows: tuple[Row, ...]
    target: Target
    rate: float
    seconds: float
    warm_up: float
    seed: int
    in_flight: int
    connections: int
    deadline: float
    samples: str
    progress: int
    parent: int

    def write(self, path: Path) -> None:
        """Write the plan as JSON into a new file of mode 0600."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(dataclasses.asdict(self), file)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan back. Raises OSError, KeyError or TypeError for a file that holds none."""
        plain: dict[str, Any] = json.loads(path.read_text())
        rows = tuple(Row(**row) for row in plain["rows"])
        target = Target(**{**plain["target"], "servers": tuple(plain["target"]["servers"])})
        return cls(**{**plain, "rows": rows, "target": target})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: its intended start, in seconds from the start of the measured time (below 0: warm-up), and its row."""

    at: float
    row: int


def arrivals(rows: tuple[Row, ...], rate: float, seconds: float, warm_up: float, seed: int) -> Iterator[Arrival]:
    """The whole schedule, fixed before the first request: Poisson arrivals, rows dealt from shuffled decks.

    A deck holds each row as often as its weight says, so that a rare row gets its samples in every run. The measured
    part has exactly `rate * seconds` arrivals (a Poisson process given its count: uniform moments, sorted).
    """
    draw = random.Random(seed)
    for start, length in ((-warm_up, warm_up), (0.0, seconds)):
        moments = sorted(draw.uniform(start, start + length) for _ in range(round(rate * length)))
        deck: list[int] = []
        for moment in moments:
            if not deck:
                deck = [place for place, row in enumerate(rows) for _ in range(row.weight)]
                draw.shuffle(deck)
            yield Arrival(moment, deck.pop())
