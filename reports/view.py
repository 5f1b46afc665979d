"""What every exporter reads: a bundle's run, catalogue, records and verdict, and its records in groups."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from sys import intern

from reports.dates import last_moment
from reports.errors import BundleError
from reports.files import clear_errors, read_json
from reports.gate import Decision, decide, effective
from reports.properties import PropertyInfo, catalogue_from_json
from reports.record import Record, explain, read_lines
from reports.run import RunInfo
from reports.words import WORST_FIRST, Severity, Verdict, worst


@dataclass(frozen=True)
class Group:
    """The records of one property in one namespace of one cluster; outside of namespaces, of one property."""

    cluster: str
    property: str
    namespace: str
    records: tuple[Record, ...]

    @cached_property
    def verdict(self) -> Verdict:
        """The worst verdict of the group."""
        return worst([record.verdict for record in self.records])

    @builtins.property
    def severity(self) -> Severity:
        """The severity of the worst record."""
        return min(self.records, key=lambda record: WORST_FIRST.index(record.verdict)).severity

    def deciding(self) -> list[Record]:
        """The records that have the group's verdict."""
        return [record for record in self.records if record.verdict is self.verdict]

    @builtins.property
    def headline(self) -> str:
        """One line: the verdict's word, how many of the subjects have it, and the reason of the first."""
        deciding = self.deciding()
        count = f"{len(deciding)} of {len(self.records)} subjects" if len(self.records) > 1 else deciding[0].subject
        return f"{self.verdict}: {count}{': ' + why if (why := explain(deciding[0])) else ''}"


@dataclass(frozen=True)
class View:
    """A bundle, read. `folder` is where journals and samples lie."""

    folder: Path
    run: RunInfo
    properties: dict[str, PropertyInfo]
    records: list[Record]
    decision: Decision

    @classmethod
    def load(cls, folder: Path) -> View:
        """Read a bundle and decide it anew. Raises BundleError if it is none."""
        run, properties = read_facts(folder)
        return cls.of_run(folder, run, properties)

    @classmethod
    def of_run(cls, folder: Path, run: RunInfo, properties: Mapping[str, PropertyInfo]) -> View:
        """Read the records of a bundle whose facts are at hand, and decide them as of the end of the run."""
        at = ended(run)
        records = settle(read_records(folder / "records.jsonl"), at)
        complete = run.complete and at is not None
        decision = decide(properties, records, complete=complete, at=at, clusters=run.cluster_ids)
        return cls(folder, run, dict(properties), records, decision)

    @cached_property
    def groups(self) -> list[Group]:
        """The records by cluster, property and namespace, sorted."""
        gathered: dict[tuple[str, str, str], list[Record]] = {}
        for record in self.records:
            gathered.setdefault((record.cluster, record.property, record.namespace), []).append(record)
        return [
            Group(*key, tuple(sorted(gathered[key], key=lambda record: (record.subject, record.verdict))))
            for key in sorted(gathered)
        ]

    def title(self, name: str) -> str:
        """The title of a property, or its id where the catalogue does not know it."""
        return self.properties[name].title if name in self.properties else name

    def having(self, *verdicts: Verdict) -> Iterator[Record]:
        """The records with one of these verdicts, worst severity first, then by property and subject."""
        rank = {severity: position for position, severity in enumerate(Severity)}
        wanted = [record for record in self.records if record.verdict in verdicts]
        yield from sorted(
            wanted, key=lambda record: (rank[record.severity], record.property, record.cluster, record.subject)
        )


def settle(records: Iterable[Record], at: datetime | None) -> list[Record]:
    """The records with the verdicts they stand for at a moment, so that every view shows what the gate counted."""
    settled = []
    for record in records:
        verdict, why = effective(record, at)
        settled.append(record if verdict is record.verdict else replace(record, verdict=verdict, reason=why))
    return settled


def read_facts(folder: Path) -> tuple[RunInfo, dict[str, PropertyInfo]]:
    """A bundle's run and its catalogue. Raises BundleError if the folder is no bundle."""
    if not folder.is_dir():
        raise BundleError(f"{folder} is no folder; name the folder of a bundle")
    for name in ("run.json", "properties.json", "verdict.json", "records.jsonl"):
        if not (folder / name).is_file():
            raise BundleError(f"{folder} is no bundle: it has no {name}")
    try:
        run = RunInfo.from_json(read_json(folder / "run.json"))
        return run, catalogue_from_json(read_json(folder / "properties.json"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"the facts of the run in {folder} cannot be read: {error!r}") from error


def ended(run: RunInfo) -> datetime | None:
    """The moment as of which a run was decided; None while it goes on. Raises BundleError for an unreadable one."""
    try:
        return last_moment(run.ended) if run.ended else None
    except ValueError as error:
        raise BundleError(f"the end of the run cannot be read: {error}") from error


def read_records(path: Path) -> list[Record]:
    """All records of a file. Raises BundleError naming the line that is not a record."""
    with clear_errors(f"cannot read {path.name}"):
        try:
            return [_shared(record) for record in read_lines(path)]
        except ValueError as error:
            raise BundleError(str(error)) from error


def _shared(record: Record) -> Record:
    # a big cluster has tens of thousands of records over a few names: keep each name once
    for name in ("cluster", "property", "namespace", "collected", "expires", "subject"):
        object.__setattr__(record, name, intern(getattr(record, name)))
    return record
