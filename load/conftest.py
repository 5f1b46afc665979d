"""The load scenarios of a run, each sent once and judged by every property that it bears on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.limits import PROGRESS_LINE_EVERY
from fixtures.plugin.run import Run

if TYPE_CHECKING:
    from load.baseline import Baseline


@pytest.fixture(scope="session")
def read_baseline(run: Run) -> Baseline:
    """The read baseline (L01), sent to every API server of an embedded cluster, else to the one of the kubeconfig."""
    from load.baseline import measure

    state = run.cluster.state
    servers = EmbeddedCluster.load(state).api_servers if state else ()
    return measure(
        run.cluster.kubeconfig,
        run.cluster.context,
        run.bundle,
        servers=servers,
        in_force=run.policy.limit,
        progress=_now_and_then(run.say),
    )


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    said = [0.0]

    def one(line: str) -> None:
        if time.monotonic() - said[0] >= PROGRESS_LINE_EVERY.value:
            said[0] = time.monotonic()
            say(f"load: {line}")

    return one
