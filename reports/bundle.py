"""The bundle of a run: a folder that is honest from its first moment on, and sealed at its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from reports import render, seal
from reports.errors import BundleError
from reports.files import as_text, clear_errors, write_atomically
from reports.gate import Decision, decide
from reports.keys import CryptoSigner
from reports.properties import PropertyInfo, catalogue_as_json
from reports.record import Record, canonical
from reports.run import RunInfo
from reports.view import View

__all__ = ["Bundle", "BundleError"]

RECORDS = "records.jsonl"


class Bundle:
    """A bundle that is being written: create, append, finish, seal, in this order.

    Until `finish`, verdict.json says INCOMPLETE, so that a run that is killed leaves a bundle that does not claim more
    than it has. Every method raises BundleError where the disk does not play along.
    """

    def __init__(self, folder: Path, run: RunInfo, descriptor: int) -> None:
        self.folder = folder
        self.run = run
        self.decision: Decision | None = None
        self._records: int | None = descriptor

    @classmethod
    def create(cls, folder: Path, run: RunInfo) -> Bundle:
        """Make the folder, which must be absent or empty, and mark it as INCOMPLETE."""
        with clear_errors(f"cannot make the bundle {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            if present := sorted(path.name for path in folder.iterdir()):
                raise BundleError(_occupied(folder, present))
            descriptor = os.open(folder / RECORDS, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        bundle = cls(folder, run, descriptor)
        bundle.describe(run, {})
        return bundle

    def describe(self, run: RunInfo, properties: Mapping[str, PropertyInfo]) -> None:
        """Write down what is known of the run so far; the verdict stays INCOMPLETE."""
        self.run = run
        decision = decide(properties, (), complete=False, clusters=run.cluster_ids)
        self._write(properties, decision)

    def append(self, records: Iterable[Record]) -> None:
        """Add records, a canonical line each. They are with the operating system when this returns."""
        self.append_plain(record.as_json() for record in records)

    def append_plain(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Like `append`, for records as the JSON values that `Record.as_json` makes."""
        if self._records is None:
            raise BundleError(f"the records of {self.folder} are closed; nothing can be added to a finished run")
        lines = b"".join(canonical(record) + b"\n" for record in records)
        with clear_errors(f"cannot write {RECORDS}"):
            while lines:
                lines = lines[os.write(self._records, lines) :]

    def place(self, path: str) -> Path:
        """Where a file of evidence goes, e.g. `journals/e01.json`; its folder is made. Raises ValueError for a way out."""
        target = (self.folder / path).resolve()
        if not target.is_relative_to(self.folder.resolve()):
            raise ValueError(f"{path} lies outside of the bundle")
        with clear_errors(f"cannot make room for {path}"):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def finish(
        self,
        run: RunInfo,
        properties: Mapping[str, PropertyInfo],
        *,
        docs: Path | None = None,
        allure_html: bool = True,
        say: Callable[[str], None] = lambda line: None,
    ) -> Decision:
        """Close the records, decide the run as of its end (`run.ended`), and write verdict and reports.

        `docs` is the folder below which the `doc` paths of the properties lie: the pages of the properties that were in
        the run are copied into the bundle, so that it explains itself. `say` is told, in a line each, what takes long or
        was left out. Whether the run came to its end stands in `run.complete`; without `run.ended` it did not.
        """
        self.close()
        self.run = run
        with clear_errors("cannot finish the bundle"):
            view = View.of_run(self.folder, run, properties)
            self._write(properties, view.decision)
            if docs:
                self._copy_pages(docs, properties)
            render.write_views(view, self.folder)
            if allure_html:
                render.write_allure_html(view, self.folder, say)
        self.decision = view.decision
        return view.decision

    def seal(self, key: CryptoSigner, previous: Path | None = None) -> seal.Seal:
        """Write the manifest and its signature; `previous` is an earlier bundle to chain this one to."""
        if self.decision is None:
            raise BundleError(f"{self.folder} is not finished, so it cannot be sealed")
        return seal.seal(self.folder, key, predicate(self.run, self.decision), previous)

    def close(self) -> None:
        """Close the file of the records; more than once does no harm."""
        if self._records is not None:
            os.close(self._records)
            self._records = None

    def _write(self, properties: Mapping[str, PropertyInfo], decision: Decision) -> None:
        with clear_errors("cannot write the bundle"):
            write_atomically(self.folder / "verdict.json", as_text(decision.as_json()))
            write_atomically(self.folder / "run.json", as_text(self.run.as_json()))
            write_atomically(self.folder / "properties.json", as_text(catalogue_as_json(properties)))

    def _copy_pages(self, docs: Path, properties: Mapping[str, PropertyInfo]) -> None:
        for info in properties.values():
            if info.doc and info.selected and (docs / info.doc).is_file():
                self.place(info.doc).write_bytes((docs / info.doc).read_bytes())


def predicate(run: RunInfo, decision: Decision) -> dict[str, Any]:
    """What the signature says about the files: whose evidence, when, by which suite, with which verdict."""
    return {
        "clusters": [
            {"id": cluster.id, "kind": cluster.kind, "fingerprint": cluster.fingerprint} for cluster in run.clusters
        ],
        "started": run.started,
        "ended": run.ended,
        "suite_version": run.suite_version,
        "verdict": str(decision.verdict),
        "readiness": decision.readiness.as_json(),
        "coverage": decision.coverage.as_json(),
    }


def _occupied(folder: Path, present: list[str]) -> str:
    if "verdict.json" in present and RECORDS in present:
        return f"{folder} already holds a bundle, and evidence is never overwritten; name another folder (--bundle DIR)"
    first = ", ".join(present[:3]) + (", ..." if len(present) > 3 else "")
    return f"{folder} is not empty (it holds {first}); name a new or empty folder (--bundle DIR)"
