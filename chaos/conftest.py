"""The experiments of a run, each run once and judged by every property that it bears on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fixtures.limits import CHAOS_REPEATS
from fixtures.plugin.run import Run

if TYPE_CHECKING:
    from chaos.bridge import Outcome
    from chaos.ground import Ground


class Experiments:
    """Runs an experiment when a check first asks for it; a check that is not run breaks nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ground: Ground | None = None
        self._outcomes: dict[str, tuple[Outcome, ...]] = {}

    def outcomes(self, name: str) -> tuple[Outcome, ...]:
        """What an experiment proved, one outcome for each of `chaos.repeats` runs. Raises what stopped it from being
        run.
        """
        # Chaos Toolkit and the Kubernetes client take a second to import, which a run without chaos has no use for.
        from chaos.bridge import run_all
        from chaos.ground import Ground

        if name not in self._outcomes:
            if self._ground is None:
                assert self._run.cluster.state is not None, "a cluster that offers processes keeps a state folder"
                self._ground = Ground(self._run.cluster.state).__enter__()
            repeats = int(self._run.policy.limit(CHAOS_REPEATS))
            self._outcomes[name] = run_all(name, self._ground, self._run.bundle, repeats)
        return self._outcomes[name]

    def close(self) -> None:
        """Remove what the experiments shared."""
        if self._ground is not None:
            self._ground.close()


@pytest.fixture(scope="session")
def experiments(run: Run) -> Iterator[Experiments]:
    """The experiments of this run."""
    made = Experiments(run)
    yield made
    made.close()
