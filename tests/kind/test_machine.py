"""The machine is left as it was found."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.embedded_tools import eventually
from tests.kind.machine.daemon import Daemon
from tests.kind.machine.errors import MachineError
from tests.kind.machine.kernel import Kernel


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "state", tmp_path / "data")
    yield made
    made.stop()
    shutil.rmtree(tmp_path / "data", ignore_errors=True)


def links() -> set[str]:
    told = subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True, timeout=10).stdout
    return {link["ifname"] for link in json.loads(told)}


def mounts() -> set[str]:
    return {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()}


def test_a_daemon_that_is_stopped_leaves_nothing(daemon: Daemon) -> None:
    before = (Kernel.now(), links(), mounts())

    daemon.start()
    assert daemon.running
    daemon.docker("network", "create", "--subnet", "10.213.0.0/24", "another")
    assert links() != before[1]
    daemon.stop()

    assert (Kernel.now(), links(), mounts()) == before
    assert not daemon.folder.exists()
    assert not daemon.sockets.exists()


def test_a_daemon_that_was_killed_is_cleaned_up_after(daemon: Daemon) -> None:
    before = Kernel.now()
    daemon.start()
    process = daemon.process
    assert process is not None
    assert process.send(signal.SIGKILL)
    eventually(lambda: not process.running, "the daemon is gone")

    daemon.start()
    assert daemon.process != process
    daemon.stop()

    assert Kernel.now() == before
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=10).stdout
    assert str(daemon.sockets) not in commands


def test_a_daemon_that_cannot_start_says_why(daemon: Daemon) -> None:
    daemon.data.parent.mkdir(parents=True, exist_ok=True)
    daemon.data.write_text("in the way")

    with pytest.raises(MachineError, match="the Docker daemon did not start; its last lines"):
        daemon.start()
    daemon.data.unlink()
