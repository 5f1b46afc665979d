"""The machine's own Docker daemon: its data in the cache, its socket, processes and settings in one state folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixtures.build.cache import cache_home
from fixtures.clusters.embedded.layout import clusters_home
from fixtures.clusters.embedded.processes import Process, last_lines
from fixtures.limits import KIND_DAEMON_DEADLINE, KIND_POLL
from tests.kind.machine.commands import run
from tests.kind.machine.errors import MachineError
from tests.kind.machine.kernel import Kernel

_WRAPPER = Path(__file__).parent / "node" / "runc"
_SYS_RESOURCE = 24
"""Number of CAP_SYS_RESOURCE, linux/capability.h."""


def lacks_sys_resource() -> bool:
    """Whether this machine does not give CAP_SYS_RESOURCE, which a privileged container asks for."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return not int(bounding, 16) >> _SYS_RESOURCE & 1


_children: dict[int, subprocess.Popen[bytes]] = {}
"""The daemons that this process started, by pid, so that one that has ended is no zombie for ever."""


@dataclass(frozen=True, slots=True)
class _State:
    process: Process
    kernel: Kernel


class Daemon:
    """The daemon, running or not; one for each state folder and each folder of its images and containers, `data`."""

    def __init__(self, folder: Path | None = None, data: Path | None = None) -> None:
        self.folder = folder or clusters_home().with_name("kind-machine")
        self.data = data or cache_home() / "kind" / "docker"
        # Apart, and short: a socket's path may have 107 bytes, a state folder's has often more.
        self.sockets = Path("/run", f"kubeworthy-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}")

    @property
    def host(self) -> str:
        """What DOCKER_HOST has to be."""
        return f"unix://{self.sockets}/docker.sock"

    @property
    def log(self) -> Path:
        """What the daemon prints."""
        return self.folder / "dockerd.log"

    @property
    def running(self) -> bool:
        """Whether the process that `start` started is there."""
        process = self.process
        return process is not None and process.running

    @property
    def process(self) -> Process | None:
        """The process that `start` started, running or not."""
        state = self._read()
        return state.process if state else None

    def docker(self, *arguments: str) -> str:
        """Run `docker` against this daemon. Raises `MachineError`."""
        return run(["docker", *arguments], environment={**os.environ, "DOCKER_HOST": self.host})

    def start(self) -> None:
        """Start the daemon, unless it runs, and return when it answers. Raises `MachineError`."""
        if self.running:
            return
        self.stop()
        for folder in (self.folder, self.sockets):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kernel = Kernel.now()
        process = self._spawn()
        self._write(_State(process, kernel))
        kernel.raise_limits()
        until = time.monotonic() + KIND_DAEMON_DEADLINE.value
        while True:
            try:
                self.docker("info")
            except MachineError as error:
                if not process.running or time.monotonic() > until:
                    lines = last_lines(self.log)
                    self.stop()
                    raise MachineError(f"the Docker daemon did not start; its last lines:\n{lines}") from error
                time.sleep(KIND_POLL.value)
            else:
                return

    def _spawn(self) -> Process:
        settings: dict[str, Any] = {
            "data-root": str(self.data),
            "exec-root": str(self.sockets),
            "pidfile": str(self.sockets / "dockerd.pid"),
            "hosts": [self.host],
            # kind makes a network of its own; the default one would only be left over.
            "bridge": "none",
            "storage-driver": "overlay2",
        }
        if lacks_sys_resource():
            wrapper = self.folder / "runc"
            shutil.copy(_WRAPPER, wrapper)
            wrapper.chmod(0o755)
            settings |= {"runtimes": {"narrow": {"path": str(wrapper)}}, "default-runtime": "narrow"}
        file = self.folder / "daemon.json"
        file.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                ["dockerd", "--config-file", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children[child.pid] = child
        process = Process.of(child.pid)
        if process is None:
            raise MachineError(f"the Docker daemon ended at once; its last lines:\n{last_lines(self.log)}")
        return process

    def stop(self) -> None:
        """Remove every container, end the daemon and put the machine's settings back. Raises `MachineError` if it goes on."""
        state = self._read()
        if state is None:
            return
        if state.process.running:
            containers = self.docker("ps", "--all", "--quiet").split()
            if containers:
                self.docker("rm", "--force", "--volumes", *containers)
            networks = self.docker("network", "ls", "--quiet", "--filter", "type=custom").split()
            if networks:
                self.docker("network", "rm", *networks)
            state.process.send(signal.SIGTERM)
            _await_end(state.process)
        elif killed := _children.pop(state.process.pid, None):
            killed.wait(KIND_DAEMON_DEADLINE.value)
        if child := self._containerd():
            # Left by a daemon that was killed; one that ends in order takes it with it.
            child.send(signal.SIGTERM)
            _await_end(child)
        for target in _mounts_below(self.sockets, self.data):
            run(["umount", target])
        state.kernel.restore()
        shutil.rmtree(self.sockets, ignore_errors=True)
        shutil.rmtree(self.folder)

    def _containerd(self) -> Process | None:
        file = self.sockets / "containerd" / "containerd.pid"
        process = Process.of(int(file.read_text())) if file.exists() else None
        if process is None:
            return None
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        return process if str(self.sockets) in command else None

    @property
    def _state(self) -> Path:
        return self.folder / "machine.json"

    def _write(self, state: _State) -> None:
        self._state.write_text(json.dumps(asdict(state)), encoding="utf-8")

    def _read(self) -> _State | None:
        if not self._state.exists():
            return None
        plain = json.loads(self._state.read_text(encoding="utf-8"))
        return _State(Process(**plain["process"]), Kernel(**plain["kernel"]))


def _await_end(process: Process) -> None:
    until = time.monotonic() + KIND_DAEMON_DEADLINE.value
    if child := _children.pop(process.pid, None):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(KIND_DAEMON_DEADLINE.value)
    while process.running:
        if time.monotonic() > until:
            raise MachineError(
                f"process {process.pid} of the Docker daemon did not end in {KIND_DAEMON_DEADLINE.value:g} s"
            )
        time.sleep(KIND_POLL.value)


def _mounts_below(*folders: Path) -> list[str]:
    """What is mounted at or below the folders, the innermost first: the daemon mounts its data folder over itself."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    targets = [line.split()[1] for line in lines]
    return [target for target in reversed(targets) if any(f"{target}/".startswith(f"{folder}/") for folder in folders)]
