"""An embedded cluster ends when it should, leaves nothing behind, and does not get into the way of another one."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.clusters.embedded import handle
from fixtures.clusters.embedded.binaries import Binaries, find_or_make
from fixtures.clusters.embedded.errors import EmbeddedClusterError
from fixtures.clusters.embedded.handle import EmbeddedCluster, start
from fixtures.clusters.embedded.launch import all_clusters, end_cluster, prune
from fixtures.clusters.embedded.layout import Layout, clusters_home
from fixtures.clusters.embedded.processes import Process
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.state import Member, State
from fixtures.limits import EMBEDDED_START_DEADLINE, EMBEDDED_STOP_DEADLINE
from tests.clusters.embedded_tools import Administrator, eventually, heed_interrupts

ROOT = Path(__file__).resolve().parents[2]
OWNER = """
import time
from fixtures.clusters.embedded.handle import start
print(start(1, 1).state, flush=True)
time.sleep(600)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Clusters of these tests lie below a long path of their own; none is left at the end."""
    folder = tmp_path / ("long-" * 20)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    yield folder
    for state in all_clusters()[0]:
        end_cluster(clusters_home() / state.name)


@pytest.fixture
def run() -> Run:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fixtures.clusters", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=EMBEDDED_START_DEADLINE.value,
        )

    return command


def _processes(state: State) -> list[Process]:
    return [state.supervisor, *(member.process for member in state.members)]


def _none_runs(processes: list[Process]) -> bool:
    return not any(process.running for process in processes)


def test_nothing_outlives_an_owner_that_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    state = State.read(folder)
    assert all(process.running for process in _processes(state))

    owner.kill()
    owner.wait()
    owner.stdout.close()

    eventually(lambda: _none_runs(_processes(state)), "the end of every process", EMBEDDED_STOP_DEADLINE.value)
    eventually(lambda: not folder.exists(), "the end of the state folder", EMBEDDED_STOP_DEADLINE.value)


def test_two_clusters_do_not_collide(home: Path) -> None:
    first, second = start(1, 1), start(1, 2)
    assert not set(first.api_servers) & set(second.api_servers)
    assert first.context != second.context
    processes = _processes(State.read(first.state))

    first.stop()

    assert _none_runs(processes)
    assert not first.state.exists()
    assert len(Administrator(second).get("/api/v1/nodes")["items"]) == 3
    assert [path.name for path in (home / "kubeworthy" / "clusters").iterdir()] == [second.name]
    second.stop()


def test_up_status_and_down(run: Run) -> None:
    up = run("up", "--name", "mine", "--members", "1", "--nodes", "2")

    assert up.returncode == 0, up.stderr
    kubeconfig = re.search(r"^export KUBECONFIG=(\S+)$", up.stdout, re.MULTILINE)
    assert kubeconfig
    assert Path(kubeconfig[1]).stat().st_mode & 0o077 == 0
    cluster = EmbeddedCluster.load(clusters_home() / "mine")
    assert len(Administrator(cluster).get("/api/v1/nodes")["items"]) == 3

    again = run("up", "--name", "mine", "--members", "1")
    assert (again.returncode, again.stdout) == (1, "")
    assert "there is an embedded cluster mine already" in again.stderr
    assert "Traceback" not in again.stderr

    status = run("status", "--name", "mine")
    assert status.returncode == 0
    assert re.search(r"kube-apiserver +0  pid \d+ +running +\d+ MiB  https://127.0.0.1:\d+", status.stdout)
    assert re.search(r"5 processes and their supervisor, \d{3,} MiB in all", status.stdout)

    processes = _processes(State.read(cluster.state))
    down = run("down", "--name", "mine")
    assert (down.returncode, down.stdout) == (0, "The cluster mine is down.\n")
    assert _none_runs(processes)
    assert run("status").stdout == "no cluster is up\n"
    assert run("status", "--name", "mine").returncode == 1


def test_a_killed_supervisor_takes_its_components_along_and_down_removes_the_rest(run: Run) -> None:
    cluster = start(1, 1, detached=True, name="orphan")
    state = State.read(cluster.state)

    state.supervisor.send(signal.SIGKILL)

    eventually(lambda: _none_runs(_processes(state)), "the end of every process", EMBEDDED_STOP_DEADLINE.value)
    assert "left over: its supervisor was killed" in run("status").stdout
    with pytest.raises(EmbeddedClusterError, match="is not up"):
        EmbeddedCluster.load(cluster.state)
    assert run("down", "--all").returncode == 0
    assert not cluster.state.exists()


@contextlib.contextmanager
def _sleeper() -> Iterator[tuple[subprocess.Popen[bytes], Process]]:
    with subprocess.Popen(["sleep", "600"]) as child:
        process = Process.of(child.pid)
        assert process
        try:
            yield child, process
        finally:
            child.kill()


def _left_over(process: Process) -> Path:
    folder = clusters_home() / "left-over"
    folder.mkdir(parents=True)
    gone = Process(process.pid, process.started - 1)
    member = Member("etcd", 0, process.pid, process.started, "", None, "")
    State("left-over", "ready", 0.0, gone, None, 1, "compiled", {"kubernetes": "v1"}, (member,)).write(Layout(folder))
    return folder


def test_down_ends_a_component_whose_supervisor_is_gone(run: Run) -> None:
    with _sleeper() as (child, process):
        folder = _left_over(process)

        assert run("down", "--name", "left-over").returncode == 0

        assert child.wait(EMBEDDED_STOP_DEADLINE.value) == -signal.SIGKILL
    assert not folder.exists()


def test_down_spares_a_process_that_took_over_the_pid(run: Run) -> None:
    with _sleeper() as (_, process):
        folder = _left_over(replace(process, started=process.started - 100))

        assert run("down", "--name", "left-over").returncode == 0

        assert process.running
        assert not folder.exists()


def test_down_refuses_what_is_no_name(run: Run, home: Path) -> None:
    victim = home / "kubeworthy" / "precious"
    victim.mkdir(parents=True)

    down = run("down", "--name", "../precious")

    assert down.returncode == 1
    assert "is no name for a cluster" in down.stderr
    assert victim.exists()


def test_a_component_that_ends_during_the_start_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "kube-scheduler"
    broken.write_text("#!/bin/sh\necho the scheduler has no plan >&2\nexit 3\n")
    broken.chmod(0o755)
    real = find_or_make(Progress(None))
    programs = {**real.programs, "kube-scheduler": [str(broken)]}
    monkeypatch.setattr(handle, "find_or_make", lambda _: Binaries(programs, real.compiled, real.source))

    with pytest.raises(EmbeddedClusterError) as failure:
        start(1, 1, name="broken")

    assert "kube-scheduler 0 ended while the cluster started (exit status 3)" in str(failure.value)
    assert "the scheduler has no plan" in str(failure.value)
    [state] = all_clusters()[0]
    assert state.phase == "failed"
    assert _none_runs(_processes(state))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_nothing(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "fixtures.clusters", "up", "--name", "short", "--members", "1"]
    up = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509
    )
    folder = clusters_home() / "short"
    eventually(lambda: Layout(folder).state.exists() and State.read(folder).members, "its first process")
    state = State.read(folder)

    up.send_signal(number)

    output, errors = up.communicate(timeout=EMBEDDED_STOP_DEADLINE.value)
    assert (up.returncode, output) == (130, "")
    assert "interrupted: nothing is left running" in errors
    assert "Traceback" not in errors
    assert _none_runs(_processes(state))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("members", "nodes", "message"),
    [(2, 6, "a control plane has 1, 3 or 5 members, not 2"), (3, -1, "cannot have -1 nodes")],
)
def test_impossible_wishes_are_refused_before_anything_starts(members: int, nodes: int, message: str) -> None:
    with pytest.raises(EmbeddedClusterError, match=message):
        start(members, nodes)
    assert all_clusters() == ([], [])


def test_a_home_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(file))

    with pytest.raises(EmbeddedClusterError, match="set XDG_STATE_HOME to a folder that can be written"):
        start(1, 1)


def test_what_a_dead_owner_left_is_removed(home: Path) -> None:
    with subprocess.Popen(["true"]) as child:
        gone = Process(child.pid, 1)
    folder = home / "kubeworthy" / "clusters" / "run-old"
    folder.mkdir(parents=True)
    State("run-old", "ready", time.time(), gone, gone, 1, "compiled", {"kubernetes": "v1"}).write(Layout(folder))

    prune()

    assert not folder.exists()
