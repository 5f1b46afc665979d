"""What the probe says of its own confinement, in processes that are confined."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.clusters.embedded.progress import Progress
from fixtures.lab.image import probe_program
from tests.lab.probe_tools import Said, ask

NOBODY = 65534
DROPPED = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
)  # fmt: skip
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to become nobody, and to mount")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody can reach, with the program in it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        shutil.copy(probe_program(Progress(sys.stderr)), folder)
        yield Path(folder)


def facts(said: Said) -> dict[str, Any]:
    found: dict[str, Any] = said.answer["answer"]
    return found


def test_facts_of_an_unconfined_process(place: Path) -> None:
    found = facts(ask(place / "probe", "facts", str(place)))

    assert (found["uid"], found["gid"]) == (os.geteuid(), os.getegid())
    assert found["hostname"] == os.uname().nodename
    assert found["no_new_privs"] is False
    assert found["token"] is False
    assert found["writable"][str(place)] == {"writable": True, "error": "", "class": ""}
    assert list(place.iterdir()) == [place / "probe"]
    assert found["process"]["shared"] is True
    assert found["rlimits"]["Max open files"]["soft"] is None
    assert int(found["rlimits"]["Max open files"]["hard"]) > 0


@as_root
def test_root_has_the_capabilities_that_the_kernel_names(place: Path) -> None:
    mask = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))

    found = facts(ask(place / "probe", "facts"))["capabilities"]

    assert len(found["effective"]) == int(mask.split()[1], 16).bit_count()
    assert {"CHOWN", "NET_BIND_SERVICE", "SETUID"} <= set(found["effective"])


@as_root
def test_facts_of_nobody_without_capabilities(place: Path) -> None:
    found = facts(ask(place / "probe", "facts", "/etc", within=DROPPED))

    assert (found["uid"], found["gid"], found["groups"]) == (NOBODY, NOBODY, [])
    assert found["capabilities"] == {
        key: [] for key in ("inheritable", "permitted", "effective", "bounding", "ambient")
    }
    assert found["no_new_privs"] is True
    assert {path: one["class"] for path, one in found["writable"].items()} == {"/": "denied", "/etc": "denied"}


@as_root
def test_a_single_capability_is_named(place: Path) -> None:
    found = facts(ask(place / "probe", "facts", within=("setpriv", "--bounding-set=-all,+net_raw")))

    assert found["capabilities"]["bounding"] == ["NET_RAW"]


@as_root
def test_a_read_only_mount_is_told_from_a_denial(place: Path) -> None:
    mounts = f"mount --bind {place} {place} && mount -o remount,ro,bind {place}"
    within = ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")

    found = facts(ask(place / "probe", "facts", str(place), within=within))
    written = ask(place / "probe", "write", str(place / "file"), "x", within=within).answer

    assert found["writable"][str(place)]["class"] == "read-only"
    assert written["class"] == "read-only"


@as_root
def test_a_mounted_token_is_seen_and_never_read(place: Path) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounts = (
        f"mount -t tmpfs none /run && mkdir -p {folder} && echo topsecret >{folder}/token && ln -s {folder} /run/way"
    )
    within = ("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")

    assert facts(ask(place / "probe", "facts", within=within))["token"] is True
    for path in (f"{folder}/token", "/run/way/token", "/run/../var/run/secrets/kubernetes.io/serviceaccount/token"):
        said = ask(place / "probe", "read", path, within=within)
        assert said.code == 2, path
        assert "topsecret" not in said.out + said.err


@as_root
def test_a_pid_namespace_of_its_own_is_seen(place: Path) -> None:
    within = ("unshare", "--pid", "--fork", "--mount-proc")

    found = facts(ask(place / "probe", "facts", within=within))["process"]

    assert found == {"pid": 1, "first": "probe", "shared": False, "count": 1}
