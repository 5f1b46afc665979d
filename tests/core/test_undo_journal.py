"""The undo journal: written before the act, readable after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.undo import Journal, Promise, UndoError

RESTART = Promise("restart", component="etcd", index=1, pid=42)
CLEAR = Promise("clear", name="r1", namespace="n")


def test_promises_are_read_back_the_last_first(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1", "an-experiment")
    journal.promise(CLEAR)
    journal.promise(RESTART)
    (path,) = Journal.pending(tmp_path)
    again = Journal.read(path)
    assert list(again.promises()) == [RESTART, CLEAR]
    assert (again.run, again.experiment, again.runner.pid) == ("r1", "an-experiment", os.getpid())


def test_a_promise_is_on_the_disk_before_promise_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(str(Path(f"/proc/self/fd/{handle}").readlink())))
    journal = Journal.open(tmp_path, "r1", "an-experiment")
    synced.clear()
    journal.promise(RESTART)
    assert synced == [str(journal.path)]
    assert '"etcd"' in journal.path.read_text()


def test_a_line_cut_off_by_a_crash_is_an_act_that_never_began(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1", "an-experiment")
    journal.promise(CLEAR)
    with journal.path.open("a") as file:
        file.write('{"undo": "rest')
    assert list(journal.promises()) == [CLEAR]


def test_a_running_runner_is_not_abandoned_and_a_dead_one_is(tmp_path: Path) -> None:
    assert not Journal.open(tmp_path, "r1", "an-experiment").abandoned
    code = "import sys, pathlib; from fixtures.undo import Journal; Journal.open(pathlib.Path(sys.argv[1]), 'r2', 'x')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    assert Journal.read(tmp_path / "undo" / "r2.undo").abandoned


def test_a_settled_journal_is_gone(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "r1", "an-experiment")
    journal.settle()
    journal.settle()
    assert Journal.pending(tmp_path) == []


def test_a_folder_that_cannot_be_written_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "undo").write_text("a file where the folder should be")
    with pytest.raises(UndoError, match="nothing was done"):
        Journal.open(tmp_path, "r1", "an-experiment")


def test_rubbish_is_named_and_not_acted_on(tmp_path: Path) -> None:
    path = tmp_path / "r1.undo"
    path.write_text("rubbish\n")
    with pytest.raises(UndoError, match="no undo journal"):
        Journal.read(path)
