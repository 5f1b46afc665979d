"""The root file system of a node, from Debian's packages."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fixtures.build import cache
from fixtures.clusters.embedded.progress import Progress
from tests.kind.machine.commands import run

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "containerd", "runc", "iptables", "kmod", "conntrack", "ethtool", "socat", "iproute2",
    "procps", "openssl", "jq", "containernetworking-plugins", "util-linux", "mount", "gawk",
)  # fmt: skip


def digest() -> str:
    """Names the root file system by what it is made from, 16 hex digits."""
    return hashlib.sha256(f"{SUITE} {PACKAGES}".encode()).hexdigest()[:16]


def archive(progress: Progress) -> Path:
    """A tar of the root file system, from the cache or made with debootstrap (needs root). Raises `MachineError`."""
    entry = cache.cache_home() / "kind" / "rootfs" / digest()
    with cache.exclusive(entry, progress, "the nodes' root file system"):
        if not entry.exists():
            with cache.publish(entry) as folder:
                progress.say(f"making the nodes' root file system from {len(PACKAGES)} Debian packages")
                root = folder / "root"
                run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root])
                run(["rm", "-rf", root / "var/cache/apt", root / "var/lib/apt/lists", root / "usr/share/doc"])
                run(["tar", "--directory", root, "--create", "--file", folder / "rootfs.tar", "."])
                run(["rm", "-rf", root])
    return entry / "rootfs.tar"
