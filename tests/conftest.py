"""What the suite's own tests share: one embedded control plane for a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.clusters.embedded.handle import EmbeddedCluster, start


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedCluster]:
    """A highly available embedded cluster of this session's own."""
    import fcntl  # TEMPORARY-LOCK: one cluster-using session at a time while many people share this machine

    lock = open("/tmp/kw-cluster.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    cluster = start()
    try:
        yield cluster
    finally:
        cluster.stop()
        lock.close()
