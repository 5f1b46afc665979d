"""What can be wrong with kind, Docker and the options gets one clear message with its cure, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest

from fixtures.clusters.kind import configuration, handle, preflight
from fixtures.clusters.kind.errors import KindError
from fixtures.clusters.kind.handle import create, reuse
from fixtures.clusters.kind.programs import Programs
from fixtures.clusters.kind.state import kind_home, records
from fixtures.limits import Limit
from tests.core.suite_runs import run_suite

USAGE = 4
ONE = configuration.from_counts("1+0")
INFO = json.dumps({"KernelVersion": "of another machine"})


class Machine:
    """A PATH with a `kind` and a `docker` that answer as told and write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.calls.touch()

    def give(self, name: str, script: str) -> None:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n{script}\n')
        program.chmod(0o755)

    def kind_fails(self, printed: str) -> None:
        self.give("kind", f'case "$1 $2" in "create cluster") echo "{printed}" >&2; exit 1 ;; esac')

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Machine(folder)
    made.give("docker", f"case $1 in info) echo '{INFO}' ;; esac")
    made.give("kind", "exit 0")
    return made


def test_kind_is_missing(faked: Machine) -> None:
    (faked.folder / "kind").unlink()

    with pytest.raises(KindError, match="needs `kind`, which is not on PATH: install it"):
        create(ONE)


def test_docker_is_missing(faked: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (faked.folder / "docker").unlink()
    monkeypatch.setenv("PATH", str(faked.folder))

    with pytest.raises(KindError, match=r"needs `docker`, which is not on PATH: .* install Docker"):
        create(ONE)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1", "does not answer: start it"),
        ('echo \'{"ServerErrors": ["Cannot connect to the Docker daemon"]}\'', "does not answer: start it"),
        ("echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1", "may not talk"),
        ("echo hello", "something else than JSON"),
    ],
)
def test_the_docker_daemon_cannot_be_used(faked: Machine, script: str, said: str) -> None:
    faked.give("docker", script)

    with pytest.raises(KindError, match=said):
        create(ONE)
    assert not any(call.startswith("kind create") for call in faked.called())


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("ERROR: failed to create cluster: failed to pull image x", "neither be found on this machine nor be pulled"),
        ("docker: Error response from daemon: Bind for :::80 failed: port is already allocated.", "port .* is taken"),
        ("F1 too many open files", "ran out of inotify instances"),
        ("write: no space left on device", "disk of the Docker daemon is full"),
        ("ERROR: could not find a log line that matches x", "the machine is too busy or too small"),
        ("ERROR: unknown field nodez", "does not accept the configuration"),
        ("something nobody has seen", "something nobody has seen"),
    ],
)
def test_kind_fails(faked: Machine, tmp_path: Path, printed: str, said: str) -> None:
    faked.kind_fails(printed)

    with pytest.raises(KindError, match=said):
        create(ONE, logs=tmp_path / "logs")

    assert printed in (tmp_path / "logs" / "kind.log").read_text()
    assert any(call.startswith("kind export logs") for call in faked.called())
    assert faked.called()[-2].startswith("kind delete cluster --name kubeworthy-")
    assert records() == ([], [])


def test_a_port_that_was_taken_in_between_is_tried_once_more(faked: Machine) -> None:
    faked.kind_fails("port is already allocated")

    with pytest.raises(KindError):
        create(ONE)

    assert sum(call.startswith("kind create") for call in faked.called()) == 2


def test_a_container_that_stays_is_told(faked: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle, "KIND_DELETE_DEADLINE", Limit("kind.delete-deadline", 0.1, "s", "this test"))
    faked.give("docker", f"case $1 in info) echo '{INFO}' ;; ps) echo 0123 ;; esac")

    with pytest.raises(
        KindError, match="1 containers of the kind cluster x could not be removed: docker rm --force 0123"
    ):
        handle.delete(Programs.find(), "x")


def test_a_name_that_is_taken(faked: Machine) -> None:
    faked.give("kind", "echo mine")

    with pytest.raises(KindError, match="there is a kind cluster mine already"):
        create(ONE, name="mine")
    assert not any(call.startswith(("kind create", "kind delete")) for call in faked.called())


def test_a_name_that_nobody_has(faked: Machine, tmp_path: Path) -> None:
    faked.give("kind", "echo other")

    with pytest.raises(KindError, match="--kind-name mine: no kind cluster of that name; there is other"):
        reuse("mine", tmp_path)


@pytest.mark.parametrize(("nodes", "limit", "enough"), [(6, 128, False), (6, 180, True), (3, 128, True)])
def test_inotify_instances_are_counted_before(tmp_path: Path, nodes: int, limit: int, enough: bool) -> None:
    file = tmp_path / "max_user_instances"
    file.write_text(f"{limit}\n")
    here = {"KernelVersion": platform.release()}

    preflight.must_have_inotify({"KernelVersion": "of another machine"}, nodes, file)
    if enough:
        preflight.must_have_inotify(here, nodes, file)
    else:
        with pytest.raises(KindError, match=r"`sysctl fs\.inotify\.max_user_instances=512`"):
            preflight.must_have_inotify(here, nodes, file)


@pytest.mark.parametrize("text", ["3", "3+", "0+3", "2+3", "a+b", "3+3+3", "-1+2"])
def test_counts_that_are_none(text: str) -> None:
    with pytest.raises(KindError, match="--nodes"):
        configuration.from_counts(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "is not YAML"),
        ("kind: Pod", "is no kind configuration"),
        ("kind: Cluster\nnodes: 3", "a list of nodes"),
    ],
)
def test_a_configuration_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "kind.yaml"
    file.write_text(text)

    with pytest.raises(KindError, match=said):
        configuration.from_file(file)


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KindError, match="No such file"):
        configuration.from_file(tmp_path / "none.yaml")


def test_nodes_of_a_configuration_file_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "kind.yaml"
    file.write_text("kind: Cluster\nnodes: [{role: control-plane}, {role: worker}, {role: worker}]\n")

    found = configuration.from_file(file)

    assert (found.control_planes, found.workers, found.own) == (1, 2, False)
    assert found.text == file.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cluster", "kind"], "needs `kind`"),
        (["--cluster", "kind", "--nodes", "2+1"], "odd number"),
        (["--cluster", "kind", "--nodes", "1+1", "--kind-config", "x"], "give one of them"),
        (["--cluster", "kind", "--kind-name", "x", "--keep"], "leave out"),
        (["--nodes", "1+1"], "--nodes is for --cluster kind"),
        (["--kind-name", "x"], "--kind-name is for --cluster kind"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_option(options: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    environment = {**os.environ, "PATH": f"{tmp_path}/bin", "XDG_STATE_HOME": str(tmp_path / "state")}

    done = run_suite(tmp_path, *options, env=environment)

    assert done.code == USAGE, done.said
    assert said in done.said
    assert "Traceback" not in done.said
    assert "INTERNALERROR" not in done.said
    assert not (tmp_path / "state" / "kubeworthy" / kind_home().name).exists()
