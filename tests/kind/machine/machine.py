"""The machine as tests use it: everything that kind needs, up or down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fixtures.clusters.embedded.progress import Progress
from tests.kind.machine import node_image, packages, programs
from tests.kind.machine.daemon import Daemon, lacks_sys_resource


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is up. `image` is the node image, `programs` the folder with `kind` and `kubectl`, `host` DOCKER_HOST."""

    image: str
    programs: Path
    host: str


def up(progress: Progress) -> Machine:
    """Install, compile, start and make what is missing. Raises `ClusterError`, which says what to do."""
    packages.install(progress)
    made = programs.make(progress)
    daemon = Daemon()
    daemon.start()
    image = node_image.make(daemon, made, progress, narrow=lacks_sys_resource())
    progress.close()
    return Machine(image, made.folder, daemon.host)


def down() -> bool:
    """End the Docker daemon with all its containers and put the machine back; False when it was not up. Raises `MachineError`."""
    daemon = Daemon()
    was = daemon.folder.is_dir()
    daemon.stop()
    return was
