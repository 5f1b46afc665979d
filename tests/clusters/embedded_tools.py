"""What the tests of the embedded cluster share."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from fixtures.clusters.embedded.endpoint import Answer, Client
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.limits import EMBEDDED_POLL, EMBEDDED_PROBE_TIMEOUT, EMBEDDED_RESTART_DEADLINE


def eventually(condition: Callable[[], object], what: str, deadline: float = EMBEDDED_RESTART_DEADLINE.value) -> None:
    """Wait until `condition` holds; fail naming `what` when it does not within `deadline` seconds."""
    until = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < until, f"not within {deadline:g} s: {what}"
        time.sleep(EMBEDDED_POLL.value)


def heed_interrupts() -> None:
    """For `preexec_fn`: a shell starts what runs in its background with SIGINT ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Administrator:
    """The cluster's administrator at one API server."""

    def __init__(self, cluster: EmbeddedCluster, index: int = 0) -> None:
        self._client = Client.administrator(cluster.layout)
        self._server = cluster.api_servers[index]

    def send(self, method: str, path: str, body: object = None) -> Answer:
        return self._client.send(method, self._server + path, EMBEDDED_PROBE_TIMEOUT.value * 5, body)

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.status == 200, answer.body
        return answer.json()

    def create(self, path: str, body: object) -> Any:
        answer = self.send("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.json()
