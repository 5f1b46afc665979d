"""What the suite's own tests share: one embedded control plane for a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.clusters.embedded.handle import EmbeddedCluster, start


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedCluster]:
    """A highly available embedded cluster of this session's own."""
    cluster = start()
    try:
        yield cluster
    finally:
        cluster.stop()
