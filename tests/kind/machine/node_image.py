"""The node image, and the image of kind's load balancer."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from fixtures.build import cache
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.versions import VERSIONS
from tests.kind.machine import component_images, rootfs
from tests.kind.machine.commands import run
from tests.kind.machine.daemon import Daemon
from tests.kind.machine.programs import NODE_PROGRAMS, Programs

NAME = "kubeworthy/node"
_BASE = "kubeworthy/node-base"
_FILES = Path(__file__).parent / "node"
_BOOTED = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
# containerd takes the images in while nothing else runs, so that no node has to at its start.
_TAKE_IN = """
set -e
containerd >/tmp/containerd.log 2>&1 &
for _ in $(seq 300); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
ctr --namespace k8s.io images import /images.tar
kill %1 && wait || true
"""


def tag(programs: Programs, *, narrow: bool) -> str:
    """The image's name; a change of anything that it is made from is another name."""
    total = hashlib.sha256(f"{programs.digest} {rootfs.digest()} {narrow}".encode())
    sources = [*sorted(_FILES.iterdir()), Path(__file__), Path(component_images.__file__)]
    for path in sources:
        total.update(path.read_bytes())
    return f"{NAME}:{VERSIONS['kubernetes']}-{total.hexdigest()[:12]}"


def make(daemon: Daemon, programs: Programs, progress: Progress, *, narrow: bool) -> str:
    """Make sure that the daemon has the node image and the balancer's, and return the node image's name.

    `narrow` is whether the machine does not give CAP_SYS_RESOURCE. Raises `MachineError`.
    """
    name = tag(programs, narrow=narrow)
    there = set(daemon.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split())
    if name in there:
        return name
    packed = rootfs.archive(progress)
    progress.say("making the node image")
    scratch = cache.cache_home() / "kind"
    with tempfile.TemporaryDirectory(dir=scratch, prefix="image-") as folder:
        _make(daemon, programs, name, Path(folder), packed, narrow)
    return name


def _make(daemon: Daemon, programs: Programs, name: str, folder: Path, packed: Path, narrow: bool) -> None:
    root = folder / "root"
    root.mkdir()
    run(["tar", "--directory", root, "--extract", "--file", packed])
    _fill(root, programs, narrow)
    images = folder / "images.tar"
    component_images.write(images, root, programs)
    run(["tar", "--directory", root, "--create", "--file", folder / "node.tar", "."])
    daemon.docker("import", str(folder / "node.tar"), _BASE)
    _make_balancer(daemon, programs)
    container = daemon.docker(
        "run", "--detach", "--privileged", "--network", "none", "--stop-signal", "SIGRTMIN+3", "--volume", f"{images}:/images.tar:ro",
        "--entrypoint", "sleep", _BASE, "infinity",
    ).strip()  # fmt: skip
    try:
        daemon.docker("exec", container, "bash", "-c", _TAKE_IN)
        changes = ("ENV container=docker", _BOOTED, "CMD []")
        daemon.docker("commit", *(word for change in changes for word in ("--change", change)), container, name)
    finally:
        daemon.docker("rm", "--force", "--volumes", container)


def _make_balancer(daemon: Daemon, programs: Programs) -> None:
    """Envoy on the node's file system: kind starts it through bash."""
    container = daemon.docker("create", _BASE, "bash").strip()
    try:
        daemon.docker("cp", str(programs["envoy"]), f"{container}:/usr/local/bin/envoy")
        daemon.docker("commit", container, programs.balancer)
    finally:
        daemon.docker("rm", "--force", container)


def _fill(root: Path, programs: Programs, narrow: bool) -> None:
    for name in NODE_PROGRAMS[:3]:
        _install(programs[name], root / "usr/bin" / name, 0o755)
    _install(_FILES / "entrypoint", root / "usr/local/bin/entrypoint", 0o755)
    _install(_FILES / "kubelet.service", root / "etc/systemd/system/kubelet.service")
    _install(_FILES / "kubelet.conf", root / "kind/kubelet.conf.d/10-node.conf")
    _install(_FILES / "containerd.conf", root / "etc/systemd/system/containerd.service.d/override.conf")
    _install(_FILES / "default-storage.yaml", root / "kind/manifests/default-storage.yaml")
    _install(_FILES / "default-cni.yaml", root / "kind/manifests/default-cni.yaml")
    toml = (
        (_FILES / "containerd.toml")
        .read_text(encoding="utf-8")
        .replace("PAUSE", component_images.pause_image(programs))
    )
    (root / "etc/containerd").mkdir(parents=True, exist_ok=True)
    (root / "etc/containerd/config.toml").write_text(toml, encoding="utf-8")
    (root / "kind/version").write_text(VERSIONS["kubernetes"] + "\n", encoding="utf-8")
    (root / "etc/kubernetes/manifests").mkdir(parents=True, exist_ok=True)
    with (root / "etc/systemd/journald.conf").open("a", encoding="utf-8") as journal:
        # All nodes read one kernel's messages, and none may.
        journal.write("ReadKMsg=no\n")
    if narrow:
        (root / "usr/sbin/runc").rename(root / "usr/sbin/runc.real")
        _install(_FILES / "runc", root / "usr/sbin/runc", 0o755)
    _trim_services(root)


def _install(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", source, target])
    target.chmod(mode)


def _trim_services(root: Path) -> None:
    units = root / "lib/systemd/system"
    for pattern in ("multi-user.target.wants/*", "sockets.target.wants/*udev*", "sysinit.target.wants/*udev*"):
        for unit in units.glob(pattern):
            unit.unlink()
    run(["chroot", root, "systemctl", "enable", "kubelet", "containerd"])
    run(["chroot", root, "systemctl", "mask", "systemd-binfmt", "systemd-udevd"])
