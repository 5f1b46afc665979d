"""The programs of the control plane are found or made; what goes wrong on the way harms neither cache nor user."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import go as go_module
from fixtures.build.errors import BuildError
from fixtures.clusters.embedded import download, installed, versions
from fixtures.clusters.embedded.binaries import find_or_make
from fixtures.clusters.embedded.processes import Process
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.versions import GO_VERSION, PROGRAMS, VERSIONS
from fixtures.limits import EMBEDDED_STOP_DEADLINE
from tests.clusters.embedded_tools import eventually, heed_interrupts

ROOT = Path(__file__).resolve().parents[2]
CLOSED = "http://127.0.0.1:9"
WANTED = ".".join(map(str, GO_VERSION))
BUILDS = "for word; do case $word in */) echo kube >$word/kube; echo kwok >$word/kwok;; esac; done"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a PATH with nothing of Kubernetes on it, and no internet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.delenv(installed.ASSETS, raising=False)
    monkeypatch.setattr(download, "Origins", lambda: download_origins(CLOSED))
    (tmp_path / "path").mkdir()
    return tmp_path / "cache" / "kubeworthy"


def download_origins(url: str) -> download.Origins:
    return _ORIGINS(url, url, url)


_ORIGINS = download.Origins


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def go(tmp_path: Path) -> Callable[[str], None]:
    """Put a `go` on PATH that knows its version and two packages, and builds as told."""

    def install(build: str, listing: str = "echo k8s.io/one; echo k8s.io/two", version: str = WANTED) -> None:
        tell, compile_it = f"echo go version go{version}.1 linux/amd64", f'[ "$2" != -v ] || {{ {build}; }}'
        script(tmp_path / "path" / "go", f"case $1 in version) {tell};; list) {listing};; build) {compile_it};; esac")

    return install


def whole(folder: Path, _: Progress) -> None:
    for name in ("kube", "kwok"):
        (folder / name).touch()
    (folder / "binaries.json").write_text('{"compiled": true}')


def entries(home: Path) -> list[str]:
    folder = home / "control-plane"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def test_versions_stand_in_the_go_module() -> None:
    assert set(VERSIONS) == {"kubernetes", "etcd", "kwok"}
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for version in VERSIONS.values())


def test_the_cache_key_changes_with_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = versions.digest()
    sources = tmp_path / "sources"
    subprocess.run(["cp", "-r", str(versions.SOURCES), str(sources)], check=True)
    monkeypatch.setattr(versions, "SOURCES", sources)
    assert versions.digest() == before

    with (sources / "go.sum").open("a") as stream:
        stream.write("\n")

    assert versions.digest() != before


def test_what_is_made_once_is_found_the_second_time(home: Path) -> None:
    made: list[Path] = []

    def make(folder: Path, progress: Progress) -> None:
        made.append(folder)
        whole(folder, progress)

    first, second = find_or_make(Progress(None), make), find_or_make(Progress(None), make)

    assert first == second
    assert len(made) == 1
    assert entries(home) == [versions.digest()]
    assert first.command("etcd") == [str(home / "control-plane" / versions.digest() / "kube"), "etcd"]


@pytest.mark.parametrize("failure", [BuildError("broken"), KeyboardInterrupt()])
def test_a_build_that_does_not_end_well_leaves_the_cache_clean(home: Path, failure: BaseException) -> None:
    def make(folder: Path, _: Progress) -> None:
        (folder / "kube").touch()
        raise failure

    with pytest.raises(type(failure)):
        find_or_make(Progress(None), make)

    assert entries(home) == []
    assert find_or_make(Progress(None), whole).complete


def test_what_a_killed_build_left_is_not_taken_for_programs(home: Path) -> None:
    left = home / "control-plane" / f"{versions.digest()}.unfinished"
    left.mkdir(parents=True)
    (left / "kube").write_text("half")

    binaries = find_or_make(Progress(None), whole)

    assert Path(binaries.command("etcd")[0]).read_text() == ""
    assert entries(home) == [versions.digest()]


def test_an_incomplete_build_is_an_error(home: Path) -> None:
    def half(folder: Path, progress: Progress) -> None:
        whole(folder, progress)
        (folder / "kwok").unlink()

    with pytest.raises(BuildError, match="not complete: remove that folder"):
        find_or_make(Progress(None), half)
    assert home.exists()


def test_of_two_builds_at_once_one_works_and_the_other_waits() -> None:
    entered, leave = threading.Event(), threading.Event()
    made: list[str] = []

    def make(folder: Path, progress: Progress) -> None:
        made.append(threading.current_thread().name)
        entered.set()
        assert leave.wait(EMBEDDED_STOP_DEADLINE.value)
        whole(folder, progress)

    said = io.StringIO()
    first = threading.Thread(target=find_or_make, args=(Progress(None), make))
    second = threading.Thread(target=find_or_make, args=(Progress(said), make))
    first.start()
    assert entered.wait(EMBEDDED_STOP_DEADLINE.value)
    second.start()
    eventually(lambda: "another build of the control plane is under way" in said.getvalue(), "the second one waiting")
    leave.set()
    first.join(EMBEDDED_STOP_DEADLINE.value)
    second.join(EMBEDDED_STOP_DEADLINE.value)

    assert len(made) == 1
    assert find_or_make(Progress(None), make).complete


def test_without_internet_the_programs_are_compiled(home: Path, go: Callable[[str], None]) -> None:
    go(f"echo k8s.io/one; echo k8s.io/two; {BUILDS}")
    said = io.StringIO()

    binaries = find_or_make(Progress(said))

    assert binaries.source == "compiled"
    assert (home / "control-plane" / versions.digest() / "kube").read_text() == "kube\n"
    assert "the official programs cannot be downloaded" in said.getvalue()
    assert "compiled in" in said.getvalue()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            'echo "go: k8s.io/api: Get: dial tcp: lookup proxy.example.org: no such host"; exit 1',
            "needs the network, which does",
        ),
        (
            'echo "copying x: write y: no space left on device"; exit 1',
            "is full: free some space, or set XDG_CACHE_HOME",
        ),
        ('echo "verifying module: checksum mismatch"; exit 1', "failed:\n    verifying module: checksum mismatch"),
    ],
)
def test_a_failing_build_says_what_to_do(home: Path, go: Callable[[str], None], build: str, message: str) -> None:
    go(build)

    with pytest.raises(BuildError) as failure:
        find_or_make(Progress(None))

    assert message in str(failure.value)
    assert entries(home) == []


def test_modules_that_cannot_be_fetched_are_the_network(go: Callable[..., None]) -> None:
    go("true", 'echo "go: k8s.io/api@v1: dial tcp 127.0.0.1:9: connect: connection refused"; exit 1')

    with pytest.raises(BuildError, match="fetching the Go modules needs the network"):
        find_or_make(Progress(None))


def test_an_old_go_is_not_used(home: Path, go: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    go("true", version="1.10")
    installs: list[Path] = []
    monkeypatch.setattr(go_module, "_install_go", lambda folder, *_: installs.append(folder))
    said = io.StringIO()

    program = go_module.find_go(Progress(said))

    assert program == home / "go" / WANTED / "go" / "bin" / "go"
    assert len(installs) == 1
    assert "is too old: it is 1.10" in said.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_takes_its_compilers_along(
    home: Path, go: Callable[[str], None], tmp_path: Path, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    go(f"sleep 600 & echo $$ $! >{pids}.new; mv {pids}.new {pids}; wait")
    code = "import sys; from fixtures.clusters.embedded import download; from fixtures.clusters.__main__ import main; "
    code += f"origins = download.Origins(*['{CLOSED}'] * 3); download.Origins = lambda: origins; sys.exit(main())"
    build = subprocess.Popen(
        [sys.executable, "-c", code, "build"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509
    )
    eventually(pids.exists, "a compiler")
    compilers = [Process.of(int(pid)) for pid in pids.read_text().split()]
    assert all(compilers)

    build.send_signal(number)

    _, errors = build.communicate(timeout=EMBEDDED_STOP_DEADLINE.value)
    assert build.returncode == 130
    assert errors.splitlines()[-1].startswith("interrupted: nothing is left running")
    eventually(lambda: not any(process and process.running for process in compilers), "the end of the compilers")
    assert entries(home) == []


def _installed(folder: Path, **different: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        version = different.get(name.replace("-", "_"), versions.version_of(name))
        script(folder / name, f"echo {name} Version: {version.removeprefix('v')}")


def test_installed_programs_of_the_right_versions_are_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    _installed(assets)
    monkeypatch.setenv(installed.ASSETS, str(assets))

    binaries = find_or_make(Progress(None), lambda *_: pytest.fail("nothing is to be made"))

    assert (binaries.source, binaries.compiled) == (f"found in {assets}", False)
    assert binaries.command("etcd") == [str(assets / "etcd")]
    assert entries(home) == []


def test_installed_programs_of_another_version_are_named_and_not_used(tmp_path: Path) -> None:
    _installed(tmp_path / "path", kube_scheduler="v1.20.1")
    said = io.StringIO()

    binaries = find_or_make(Progress(said), whole)

    assert binaries.source == "compiled"
    assert f"kube-scheduler is v1.20.1, wanted is {VERSIONS['kubernetes']}" in said.getvalue()


def test_an_incomplete_set_of_installed_programs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(tmp_path / "assets")
    for name in ("kube-scheduler", "kwok"):
        (tmp_path / "assets" / name).unlink()
    monkeypatch.setenv(installed.ASSETS, str(tmp_path / "assets"))
    said = io.StringIO()

    assert find_or_make(Progress(said), whole).source == "compiled"
    assert "is not used: kube-scheduler, kwok missing" in said.getvalue()


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(BuildError, match="set XDG_CACHE_HOME to a folder that can"):
        find_or_make(Progress(None), whole)


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere() -> None:
    reader, writer = os.openpty()
    with os.fdopen(writer, "w") as terminal:
        progress = Progress(terminal)
        progress.step("compiling k8s.io/one", 1, 2)
        progress.close()
    drawn = os.read(reader, 4096).decode()
    os.close(reader)
    plain = io.StringIO()
    for done in range(3):
        Progress(plain).step("compiling k8s.io/one", done, 2)

    assert " 50%  compiling k8s.io/one" in drawn
    assert "\r" in drawn
    assert plain.getvalue().splitlines()[1] == " 50%  compiling k8s.io/one"
    assert "\x1b" not in plain.getvalue()
