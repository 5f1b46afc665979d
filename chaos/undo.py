"""What an experiment has promised to undo, on disk before the act, so that a killed run can be cleaned up by another
process.

A journal is a file `chaos/<run>.undo` in the cluster's state folder: a header line that says who runs which experiment,
then a line for each promise. Every line is flushed to the disk before the act it belongs to. A run that undid
everything removes its file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixtures.clusters.embedded.processes import Process

FOLDER = "chaos"
SUFFIX = ".undo"


class UndoError(Exception):
    """A promise could not be written, read or kept; the message says what is left and what to do."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing to undo.

    `restart`: the member `component` `index`, whose process was `pid`, runs again. `remove`: the namespace `name` is
    gone. `clear`: what run `name` made in `namespace` is gone. `release`: the mutex Lease held by run `name` is gone.
    """

    undo: str
    name: str = ""
    namespace: str = ""
    component: str = ""
    index: int = 0
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Journal:
    """The undo journal of one run of one experiment."""

    path: Path
    run: str
    experiment: str
    runner: Process

    @classmethod
    def open(cls, state: Path, run: str, experiment: str) -> Journal:
        """Begin a journal in the cluster's state folder. Raises UndoError where it cannot be written."""
        runner = Process.of(os.getpid())
        assert runner is not None, "this process is running"
        journal = cls(state / FOLDER / f"{run}{SUFFIX}", run, experiment, runner)
        try:
            journal.path.parent.mkdir(parents=True, exist_ok=True)
            journal._append({"run": run, "experiment": experiment, "pid": runner.pid, "started": runner.started})
            _sync(journal.path.parent)
        except OSError as error:
            raise UndoError(
                f"the undo journal {journal.path} cannot be written ({error.strerror}), so nothing was done"
            ) from error
        return journal

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Read a journal's header. Raises UndoError for a file that is none."""
        try:
            header = json.loads(path.read_text().partition("\n")[0])
            return cls(path, header["run"], header["experiment"], Process(header["pid"], header["started"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UndoError(f"{path} is no undo journal ({error!r}); look at it, then delete it") from error

    @classmethod
    def pending(cls, state: Path) -> list[Path]:
        """The journals in a state folder whose runs have not undone everything, oldest first."""
        return sorted((state / FOLDER).glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)

    @property
    def abandoned(self) -> bool:
        """Whether the process that wrote it has ended."""
        return not self.runner.running

    def promise(self, promise: Promise) -> None:
        """Write down what will have to be undone; it is on the disk when this returns. Raises UndoError otherwise."""
        try:
            self._append(asdict(promise))
        except OSError as error:
            raise UndoError(
                f"the undo journal {self.path} cannot be written ({error.strerror}), so nothing was done"
            ) from error

    def promises(self) -> Iterator[Promise]:
        """What was promised, the last first. A last line cut off by a crash belongs to an act that never began."""
        for line in reversed(self.path.read_text().splitlines()[1:]):
            try:
                plain: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            yield Promise(**plain)

    def settle(self) -> None:
        """Forget the journal: everything in it has been undone. Can be called twice."""
        self.path.unlink(missing_ok=True)
        _sync(self.path.parent)

    def _append(self, plain: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(plain) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
