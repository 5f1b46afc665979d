"""The load scenarios of a run, each sent once and judged by every property that it bears on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from fixtures.limits import PROGRESS_LINE_EVERY
from fixtures.plugin.run import Run

if TYPE_CHECKING:
    from load.baseline import Baseline


class Scenarios:
    """Sends a scenario when a check first asks for it; a check that is not run, for want of consent, sends nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._baseline: Baseline | Exception | None = None

    def read_baseline(self) -> Baseline:
        """The read baseline, sent to every API server of an embedded cluster, else to the one of the kubeconfig.

        Raises what stopped it, each time and without trying again: ApiError, LoadError, ClusterError.
        """
        if self._baseline is None:
            try:
                self._baseline = self._measured()
            except Exception as error:  # noqa: BLE001  raised again below, to every check that asks
                self._baseline = error
        if isinstance(self._baseline, Exception):
            raise self._baseline
        return self._baseline

    def _measured(self) -> Baseline:
        # The Kubernetes client and the embedded cluster take a second to import, which other runs have no use for.
        from fixtures.clusters.embedded.handle import EmbeddedCluster
        from load.baseline import measure

        run = self._run
        return measure(
            run.cluster.kubeconfig,
            run.cluster.context,
            run.bundle,
            servers=EmbeddedCluster.load(run.cluster.state).api_servers
            if run.cluster.state and run.cluster.kind == "embedded"
            else (),
            in_force=run.policy.limit,
            progress=_now_and_then(run.say),
        )


@pytest.fixture(scope="session")
def scenarios(run: Run) -> Scenarios:
    """The load scenarios of this run."""
    return Scenarios(run)


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    said = [0.0]

    def one(line: str) -> None:
        if time.monotonic() - said[0] >= PROGRESS_LINE_EVERY.value:
            said[0] = time.monotonic()
            say(f"load: {line}")

    return one
