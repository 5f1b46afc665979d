"""One canary namespace for the tests that need the cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.ground import Ground
from fixtures.clusters.embedded.handle import EmbeddedCluster


@pytest.fixture(scope="module")
def ground(embedded: EmbeddedCluster) -> Iterator[Ground]:
    """The ground of a module's experiments."""
    with Ground(embedded.state) as ground:
        yield ground
