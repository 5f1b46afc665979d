"""The files that records name as evidence: journals, timelines, samples and their pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from reports.files import clear_errors
from reports.record import Record
from reports.timeline import Timeline

TIMELINE = ".timeline.json"


def paths(folder: Path, records: Iterable[Record]) -> list[str]:
    """The evidence of some records, with the timeline and the picture beside each file; sorted, only what is there."""
    named: set[str] = set()
    for record in records:
        for path in record.evidence:
            stem = path.removesuffix(TIMELINE) if path.endswith(TIMELINE) else str(PurePosixPath(path).with_suffix(""))
            named |= {path, stem + TIMELINE, stem + ".svg"}
    if not named:
        return []
    root = folder.resolve()
    # what a record names must not lead out of the bundle
    return sorted(path for path in named if (file := (root / path)).is_file() and file.resolve().is_relative_to(root))


def pictures(folder: Path) -> list[str]:
    """The pictures that the load scenarios drew."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("samples/*.svg") if path.is_file())


def timelines(folder: Path) -> list[tuple[str, Timeline | None]]:
    """Every timeline of the bundle with its path; None for one that cannot be read."""
    found = sorted(folder.glob(f"journals/*{TIMELINE}"))
    return [(path.relative_to(folder).as_posix(), timeline(path)) for path in found]


def timeline(path: Path) -> Timeline | None:
    """One timeline; None if the file holds something else."""
    with clear_errors(f"cannot read {path.name}"):
        content = path.read_bytes()
    try:
        return Timeline.from_json(json.loads(content))
    except (KeyError, TypeError, ValueError):
        return None
