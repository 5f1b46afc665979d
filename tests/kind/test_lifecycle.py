"""A kind cluster ends when it should, however its run ends, leaves nothing behind and does not get into another one's way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.clusters.kind import bringup, leftovers
from fixtures.clusters.kind.configuration import from_counts, from_file
from fixtures.clusters.kind.errors import KindError, PortClash
from fixtures.clusters.kind.handle import KindCluster, create
from fixtures.clusters.kind.nodes import Nodes
from fixtures.clusters.kind.programs import Programs
from fixtures.clusters.kind.state import PREFIX, kind_home, records
from fixtures.limits import KIND_CREATE_DEADLINE, KIND_POLL, Limit
from tests.clusters.embedded_tools import heed_interrupts
from tests.kind.machine.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
ONE = from_counts("1+0")
RUNNER = """
import sys
from fixtures.clusters.kind.configuration import from_counts
from fixtures.clusters.kind.handle import create
create(from_counts("1+0"), image=sys.argv[1], detached=sys.argv[2] == "keep")
"""


@pytest.fixture(autouse=True)
def home(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state folder of the test's own, which must be empty in the end, like the list of its containers."""
    kubeconfig = tmp_path / "kubeconfig-of-the-user"
    kubeconfig.write_text("untouched")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    before = containers()
    yield
    assert records() == ([], [])
    assert containers() == before
    assert kubeconfig.read_text() == "untouched"


def containers() -> set[str]:
    return set(Programs.find().run_docker("ps", "--all", "--format", "{{.Names}}").split())


def runner(machine: Machine, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, machine.image, how],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - it calls nothing but signal
    )


def await_a_container(process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + KIND_CREATE_DEADLINE.value
    while True:
        assert process.poll() is None, "the runner ended before it was interrupted"
        assert time.monotonic() < until
        for name in leftovers.names():
            if Nodes(Programs.find(), name).all():
                return name
        time.sleep(KIND_POLL.value)


def clusters(*arguments: str) -> str:
    command = [sys.executable, "-m", "fixtures.clusters", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout


def test_two_at_once_have_names_of_their_own_and_end(machine: Machine) -> None:
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: create(ONE, image=machine.image), range(2)))

    names = {cluster.name for cluster in made}
    assert len(names) == 2
    assert all(name.startswith(PREFIX) for name in names)
    assert {record.phase for record in records()[0]} == {"ready"}
    assert all(cluster.kubeconfig.stat().st_mode & 0o077 == 0 for cluster in made)
    for cluster in made:
        cluster.stop()


def test_one_that_is_kept_stays_until_it_is_ended_by_name(machine: Machine) -> None:
    assert runner(machine, "keep").wait(KIND_CREATE_DEADLINE.value) == 0
    (name,) = leftovers.names()

    assert f"{name}: kind, ready, kept" in clusters("status")
    assert KindCluster.load(kind_home() / name).nodes.kubernetes()
    assert leftovers.left() == ()
    assert clusters("down", "--name", name) == f"The kind cluster {name} is down.\n"


def test_what_a_killed_run_left_is_found_and_removed(machine: Machine) -> None:
    process = runner(machine, "end")
    name = await_a_container(process)
    process.kill()
    process.wait()

    assert f"{name}: kind, left over" in clusters("status")
    assert leftovers.left() == (name,)
    assert clusters("down", "--all") == f"The kind cluster {name} is down.\n"


def test_an_interrupted_creation_leaves_nothing(machine: Machine) -> None:
    process = runner(machine, "end")
    await_a_container(process)
    process.send_signal(signal.SIGINT)

    assert process.wait(KIND_CREATE_DEADLINE.value) != 0


def test_a_creation_that_takes_too_long_leaves_its_logs_only(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringup, "KIND_CREATE_DEADLINE", Limit("kind.create-deadline", 5, "s", "this test"))

    with pytest.raises(KindError, match=f"took longer than 5 s and was ended\n  kind's logs: {tmp_path}/logs"):
        create(ONE, image=machine.image, logs=tmp_path / "logs")
    assert "Preparing nodes" in (tmp_path / "logs" / "kind.log").read_text()


def test_a_port_that_is_taken(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "kind.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mapping = f"{{containerPort: 80, hostPort: {port}, listenAddress: 127.0.0.1}}"
        file.write_text(
            "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"
            f"nodes: [{{role: control-plane, extraPortMappings: [{mapping}]}}]\n"
        )
        with pytest.raises(PortClash, match="a port that the cluster needs on this machine is taken"):
            create(from_file(file), image=machine.image)


def test_a_runner_without_a_state_folder_says_so(machine: Machine) -> None:
    with pytest.raises(KindError, match="no kind cluster in"):
        KindCluster.load(kind_home() / "nobody")
    assert os.environ["DOCKER_HOST"] == machine.host
