"""Official programs are fetched whole, gone on with after a cut, and used only when their digest is the published."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import resource
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.build.errors import BuildError
from fixtures.clusters.embedded import download
from fixtures.clusters.embedded.binaries import find_or_make
from fixtures.clusters.embedded.download import DownloadError, Origins, artifacts, fetch, fetch_programs
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.versions import PROGRAMS, VERSIONS, architecture

CONTENT = bytes(range(256)) * 1024


@dataclass
class Site:
    """What a server on this machine serves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    knows_ranges: bool = True
    cut_after: int | None = None


def _handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            wanted = self.headers["Range"]
            site.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and site.knows_ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : site.cut_after])

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(found)) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "kubeworthy"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _publish(site: Site) -> None:
    machine, kubernetes, etcd, kwok = architecture(), VERSIONS["kubernetes"], VERSIONS["etcd"], VERSIONS["kwok"]
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        path = f"/release/{kubernetes}/bin/linux/{machine}/{name}"
        site.files[path] = name.encode() * 1000
        site.files[f"{path}.sha256"] = sha256(site.files[path]).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"etcd-{etcd}-linux-{machine}/etcd")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"etcd"))
    release, file = f"/etcd-io/etcd/releases/download/{etcd}", f"etcd-{etcd}-linux-{machine}.tar.gz"
    site.files[f"{release}/{file}"] = packed.getvalue()
    listed = f"{'0' * 64}  other.tar.gz\n{sha256(packed.getvalue())}  {file}\n"
    site.files[f"{release}/SHA256SUMS"] = listed.encode()
    asset = f"kwok-linux-{machine}"
    site.files[f"/kubernetes-sigs/kwok/releases/download/{kwok}/{asset}"] = b"kwok"
    assets = [{"name": "other", "digest": None}, {"name": asset, "digest": f"sha256:{sha256(b'kwok')}"}]
    site.files[f"/repos/kubernetes-sigs/kwok/releases/tags/{kwok}"] = json.dumps({"assets": assets}).encode()


def _origins(site: Site) -> Origins:
    return Origins(site.url, site.url, site.url)


def test_the_official_programs_become_the_cache_entry(site: Site, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _publish(site)
    origins = _origins(site)
    monkeypatch.setattr(download, "Origins", lambda: origins)
    said = io.StringIO()

    binaries = find_or_make(Progress(said))

    assert (binaries.source, binaries.compiled, set(binaries.programs)) == ("downloaded", False, set(PROGRAMS))
    for name in PROGRAMS:
        [path] = binaries.command(name)
        assert Path(path).read_text().startswith(name)
        assert Path(path).stat().st_mode & 0o111
    assert not (home / "downloads").exists()
    assert "checked against their SHA-256" in said.getvalue()


def test_a_program_that_is_not_what_was_published_is_refused(site: Site, tmp_path: Path, home: Path) -> None:
    _publish(site)
    path = next(path for path in site.files if path.endswith("/kube-scheduler"))
    site.files[path] += b"evil"

    with pytest.raises(DownloadError, match="is not what was published: its SHA-256 is"):
        fetch_programs(tmp_path, Progress(None), _origins(site))

    assert not (tmp_path / "kube-scheduler").exists()
    assert not list(home.rglob("kube-scheduler*"))
    assert list(home.rglob("kube-apiserver"))


def test_a_program_without_a_published_digest_is_refused(site: Site, tmp_path: Path) -> None:
    _publish(site)
    tag = next(path for path in site.files if "/tags/" in path)
    site.files[tag] = site.files[tag].replace(b"sha256:", b"md5:")

    with pytest.raises(DownloadError, match="states no SHA-256 of kwok"):
        fetch_programs(tmp_path, Progress(None), _origins(site))


def test_a_download_that_was_cut_off_is_gone_on_with(site: Site) -> None:
    site.files["/program"], site.cut_after = CONTENT, 100_000
    with pytest.raises(DownloadError, match=f"was cut off after 100000 of {len(CONTENT)} bytes"):
        fetch(f"{site.url}/program", sha256(CONTENT))
    site.cut_after = None
    shown: list[tuple[int, int]] = []

    file = fetch(f"{site.url}/program", sha256(CONTENT), lambda done, total: shown.append((done, total)))

    assert file.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=100000-"]
    assert shown[-1] == (len(CONTENT), len(CONTENT))


def test_a_server_that_knows_no_ranges_starts_again(site: Site) -> None:
    site.files["/program"], site.cut_after = CONTENT, 100_000
    with pytest.raises(DownloadError):
        fetch(f"{site.url}/program", sha256(CONTENT))
    site.cut_after, site.knows_ranges = None, False

    assert fetch(f"{site.url}/program", sha256(CONTENT)).read_bytes() == CONTENT


def test_a_part_that_is_the_whole_is_taken_as_it_is(site: Site, home: Path) -> None:
    site.files["/program"] = CONTENT
    part = home / "downloads" / sha256(CONTENT) / "program.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)

    assert fetch(f"{site.url}/program", sha256(CONTENT)).read_bytes() == CONTENT


def test_a_missing_file_and_a_closed_port_are_told_apart(site: Site) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched \\(404"):
        fetch(f"{site.url}/program", sha256(CONTENT))
    with pytest.raises(DownloadError, match="Connection refused"):
        fetch_programs(Path("unused"), Progress(None), Origins(*["http://127.0.0.1:9"] * 3))


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache on a disk of 64 KiB; where that cannot be mounted, no file may grow larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        yield
        subprocess.run(["/bin/umount", str(disk)], check=True)
    else:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_named(site: Site) -> None:
    site.files["/program"] = CONTENT

    with pytest.raises(BuildError, match="is full: free some space, or set XDG_CACHE_HOME"):
        fetch(f"{site.url}/program", sha256(CONTENT))


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_leaves_no_entry_in_the_cache() -> None:
    def make(folder: Path, _: Progress) -> None:
        (folder / "kube").write_bytes(CONTENT)

    with pytest.raises(BuildError, match="is full"):
        find_or_make(Progress(None), make)


def test_the_public_addresses_are_https() -> None:
    assert all(artifact.url.startswith("https://") for artifact in artifacts(Origins()))
