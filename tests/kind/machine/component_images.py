"""The images that run inside the nodes: the control plane, kube-proxy, CoreDNS, the pod network, metrics-server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from fixtures.clusters.embedded.versions import COMPONENTS, architecture
from fixtures.images import Image, Layer, write_archive
from tests.kind.machine.commands import run
from tests.kind.machine.programs import Programs, component_images

SHELL = "registry.local/busybox:1"
PODNET, METRICS = "registry.local/podnet:1", "registry.local/metrics-server:1"
_SHELL_PROGRAM = Path("/bin/busybox")
_FOREVER = "2147483647"
_ANYBODY = 0o1777
_USERS = {
    "etc/passwd": b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "etc/group": b"root:x:0:\nnobody:x:65534:\n",
}


def write(path: Path, root: Path, programs: Programs) -> None:
    """Write the images to the docker archive `path`; `root` is a node's root file system, where shared libraries come from.

    Raises `MachineError` or OSError.
    """
    base = _base(root)
    control_plane, proxy = _control_plane(programs), Layer({"usr/local/bin/kube-proxy": programs["kube-proxy"]})
    names = component_images(programs)
    control = tuple(name for name in names if _short(name) in COMPONENTS)
    images = [
        Image(control, (base, control_plane), command=("sh",)),
        Image(_only(names, "kube-proxy"), (base, proxy), command=("sh",)),
        Image(_only(names, "coredns"), (base, Layer({"coredns": programs["coredns"]})), entrypoint=("/coredns",)),
        Image(_only(names, "pause"), (base,), command=("/bin/sleep", _FOREVER)),
        Image((SHELL,), (base,), command=("sh",)),
        Image((PODNET,), (base, Layer({"podnet": programs["podnet"]})), entrypoint=("/podnet",)),
        Image((METRICS,), (Layer({"metrics-server": programs["metrics-server"]}),), entrypoint=("/metrics-server",)),
    ]
    write_archive(path, images, architecture())


def pause_image(programs: Programs) -> str:
    """The name of the image that holds a pod's namespaces open."""
    return _only(component_images(programs), "pause")[0]


def _short(name: str) -> str:
    return name.rpartition(":")[0].rpartition("/")[2]


def _only(names: tuple[str, ...], short: str) -> tuple[str, ...]:
    return tuple(name for name in names if _short(name) == short)


def _control_plane(programs: Programs) -> Layer:
    files: dict[str, Path | bytes] = {}
    for name in COMPONENTS:
        program, *first = programs.control_plane.command(name)
        files[f"usr/local/bin/{Path(program).name}"] = Path(program)
        if first:
            files[f"usr/local/bin/{name}"] = f'#!/bin/sh\nexec /usr/local/bin/kube {name} "$@"\n'.encode()
    return Layer(files)


def _base(root: Path) -> Layer:
    """A shell, the time zones that CronJobs name, and iptables with its extensions, `ip` and conntrack, which kube-proxy
    and the pod network call.
    """
    extensions = ["/" + str(path.relative_to(root)) for path in root.glob("usr/lib/*/xtables/*.so")]
    programs = ["/usr/sbin/xtables-nft-multi", "/usr/sbin/conntrack", "/usr/bin/ip"]
    files: dict[str, Path | bytes] = {path.lstrip("/"): root / path.lstrip("/") for path in (*programs, *extensions)}
    files |= _libraries(root, [*programs, *extensions])
    files |= {"bin/busybox": _SHELL_PROGRAM, **_USERS, **_zones(root)}
    applets = run([_SHELL_PROGRAM, "--list"]).split()
    links = {f"bin/{name}": "busybox" for name in applets if name not in ("busybox", "ip")}
    links |= {
        f"usr/sbin/{v}tables{end}": "xtables-nft-multi" for v in ("ip", "ip6") for end in ("", "-save", "-restore")
    }
    folders = {"tmp": _ANYBODY, "proc": 0o755, "sys": 0o755, "dev": 0o755, "run": 0o755}
    return Layer(files, links, folders)


def _zones(root: Path) -> dict[str, Path | bytes]:
    known = root / "usr/share/zoneinfo"
    # A link that leads out of the root, such as localtime, would bring in a file of this machine.
    return {
        str(path.relative_to(root)): path
        for path in known.rglob("*")
        if path.is_file() and path.resolve().is_relative_to(known.resolve())
    }


def _libraries(root: Path, programs: list[str]) -> dict[str, Path | bytes]:
    """Path in the image -> file in `root`, for every shared library that the programs need."""
    # ldd tells with a failure that a file needs no library, so that its status says nothing.
    listing = subprocess.run(
        ["chroot", str(root), "ldd", *programs], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    found: dict[str, Path | bytes] = {}
    for path in set(re.findall(r"(/\S+) \(0x", listing)):
        real = run(["chroot", root, "readlink", "--canonicalize", path]).strip()
        found[path.lstrip("/")] = root / real.lstrip("/")
    return found
