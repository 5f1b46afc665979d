"""What has to be installed, from Debian."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fixtures.clusters.embedded.progress import Progress
from tests.kind.machine.commands import run
from tests.kind.machine.errors import MachineError

_PACKAGES = {
    "dockerd": "docker.io",
    "debootstrap": "debootstrap",
    "jq": "jq",
    "iptables": "iptables",
    "busybox": "busybox-static",
}
_NO_SERVICES = Path("/usr/sbin/policy-rc.d")


def install(progress: Progress) -> None:
    """Install what is missing. Raises `MachineError` without root or apt."""
    if os.geteuid():
        raise MachineError("kind's machine needs root: it starts a Docker daemon and makes a root file system")
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise MachineError(f"{', '.join(missing)} cannot be installed: this is no Debian machine (there is no apt-get)")
    progress.say(f"installing {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _no_service_starts():
        run(["apt-get", "update", "--quiet=2"], environment=environment)
        run(["apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends", *missing], environment=environment)


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    # Debian starts a service when it is installed; the Docker daemon is to be ours alone.
    if _NO_SERVICES.exists():
        yield
        return
    _NO_SERVICES.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    _NO_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        _NO_SERVICES.unlink()
