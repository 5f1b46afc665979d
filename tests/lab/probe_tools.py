"""The probe's program, started and asked on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from fixtures.limits import EMBEDDED_STOP_DEADLINE

DEADLINE = EMBEDDED_STOP_DEADLINE.value


@dataclass(frozen=True)
class Said:
    """What a one-shot command printed."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        assert set(found) == {"ok", "error", "class", "seconds", "answer"}
        return found


def ask(program: Path, *args: str, within: Sequence[str] = ()) -> Said:
    """Run a one-shot command; `within` is what to run it by, such as setpriv."""
    done = subprocess.run(
        [*within, program, *args], capture_output=True, text=True, timeout=DEADLINE, check=False, cwd="/"
    )
    return Said(done.returncode, done.stdout, done.stderr)


class Server:
    """A running `probe serve`; `http`, `tcp` and `udp` are its addresses."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        where = self.until("listening")
        self.http, self.tcp, self.udp = (where[kind] for kind in ("http", "tcp", "udp"))

    @classmethod
    @contextmanager
    def started(cls, program: Path, *options: str) -> Iterator[Self]:
        addresses = [word for kind in ("http", "tcp", "udp") for word in (f"--{kind}", "127.0.0.1:0")]
        process = subprocess.Popen([program, "serve", *addresses, *options], stdout=subprocess.PIPE, text=True)
        try:
            yield cls(process)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def until(self, event: str) -> dict[str, Any]:
        """Read the log up to this event."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"{event} was not logged: {self.log}")

    def url(self, path: str = "") -> str:
        return f"http://{self.http}/{path}"

    def get(self, path: str) -> dict[str, Any]:
        with urlopen(self.url(path), timeout=DEADLINE) as answer:
            return dict(json.load(answer))

    def post(self, path: str, body: Any) -> dict[str, Any]:
        with urlopen(Request(self.url(path), json.dumps(body).encode()), timeout=DEADLINE) as answer:
            return dict(json.load(answer))

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        os.kill(self.process.pid, number)

    def wait(self) -> int:
        return self.process.wait(DEADLINE)


RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
