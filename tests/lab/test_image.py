"""The probe's image: written without a container engine, the same bytes from the same sources, made once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fixtures.build.errors import BuildError
from fixtures.build.go import find_go
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.versions import architecture
from fixtures.images import Image, write_archive
from fixtures.lab import image
from fixtures.lab.__main__ import main
from tests.lab.probe_tools import DEADLINE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds no probe; what Go has compiled before is kept, so that this takes no minute."""
    monkeypatch.setenv("GOCACHE", _go_cache())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kubeworthy" / "probe"


def _go_cache() -> str:
    command = [str(find_go(Progress(sys.stderr))), "env", "GOCACHE"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE).stdout.strip()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, to be changed."""
    copy = tmp_path / "program"
    shutil.copytree(image.SOURCES, copy)
    monkeypatch.setattr(image, "SOURCES", copy)
    return copy


def content(archive: Path) -> tuple[dict[str, Any], dict[str, Any], tarfile.TarFile]:
    """The manifest, the configuration, and the one layer of a docker archive."""
    with tarfile.open(archive) as opened:
        files = {one.name: opened.extractfile(one) for one in opened}
        held = {name: file.read() for name, file in files.items() if file}
    (manifest,) = json.loads(held["manifest.json"])
    (layer,) = manifest["Layers"]
    config = json.loads(held[manifest["Config"]])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(held[layer]).hexdigest()}"]
    return manifest, config, tarfile.open(fileobj=io.BytesIO(held[layer]))


def test_the_image_holds_the_program_and_runs_as_nobody() -> None:
    manifest, config, layer = content(image.probe_image(Progress(sys.stderr)))
    members = {one.name: one for one in layer}
    program = layer.extractfile("probe")
    assert program is not None

    assert manifest["RepoTags"] == [image.tag()]
    assert (config["architecture"], config["os"]) == (architecture(), "linux")
    assert config["config"]["Entrypoint"] == ["/probe"]
    assert config["config"]["User"] == "65534:65534"
    assert set(members) == {"probe", "etc", "etc/passwd", "tmp", "data"}
    assert {name: one.mode for name, one in members.items() if one.isdir()} == {
        "etc": 0o755,
        "tmp": 0o1777,
        "data": 0o1777,
    }
    assert program.read() == image.probe_program(Progress(None)).read_bytes()
    assert all((one.uid, one.gid, one.mtime) == (0, 0, 0) for one in members.values())


def test_the_program_needs_no_library() -> None:
    program = image.probe_program(Progress(sys.stderr)).read_bytes()

    assert program.startswith(b"\x7fELF")
    assert b"ld-linux" not in program


def test_the_same_sources_give_the_same_bytes(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = image.probe_image(Progress(None)).read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))

    assert image.probe_image(Progress(None)).read_bytes() == first
    assert cache.is_dir()


def test_a_changed_program_is_another_image(cache: Path, sources: Path) -> None:
    before = image.tag()

    (sources / "more.go").write_text("package main\n")

    assert image.tag() != before
    assert image.tag().removeprefix("kubeworthy/probe:") in str(image.probe_image(Progress(None)))
    assert [one.name for one in cache.iterdir() if one.is_dir()] == [image.digest()]


def test_two_at_once_make_one(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def write(path: Path, images: Sequence[Image], architecture: str) -> None:
        made.append(path)
        write_archive(path, images, architecture)

    monkeypatch.setattr(image, "write_archive", write)

    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: image.probe_image(Progress(None)), range(2)))

    assert both == [cache / image.digest() / "image.tar"] * 2
    assert len(made) == 1


@pytest.mark.usefixtures("cache")
def test_what_is_there_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = image.probe_image(Progress(None))
    monkeypatch.setenv("PATH", "/nowhere")

    assert image.probe_image(Progress(None)) == first


def test_a_program_that_does_not_compile_is_told_and_leaves_nothing(cache: Path, sources: Path) -> None:
    (sources / "broken.go").write_text("package main\n\nnonsense\n")

    with pytest.raises(BuildError, match=r"compiling the probe failed:\n(?s:.*)broken\.go:3"):
        image.probe_image(Progress(None))

    assert [one for one in cache.iterdir() if one.is_dir()] == []


def test_the_command_line_writes_the_archive_and_says_how_to_push_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "image.tar"

    assert main(["image", "--out", str(out)]) == 0

    said = capsys.readouterr().out
    assert out.read_bytes() == image.probe_image(Progress(None)).read_bytes()
    assert f"docker push REGISTRY/{image.tag()}" in said
    assert f"--probe-image REGISTRY/{image.tag()}" in said


def test_a_file_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fixtures.lab", "image", "--out", str(tmp_path / "none" / "image.tar")]

    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=DEADLINE
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("cannot be written (No such file or directory): choose another --out")
    assert "Traceback" not in done.stderr
