"""What the tests on real nodes share: the machine, brought up once for a session, and one cluster of six nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.clusters import Cluster
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.kind.configuration import DEFAULT_NODES, from_counts
from fixtures.clusters.kind.handle import KindCluster, create
from fixtures.clusters.kind.target import CAPABILITIES, as_target
from fixtures.lab import image
from tests.kind.machine import machine as machines
from tests.kind.machine.daemon import Daemon
from tests.kind.machine.machine import Machine

AT_HAND = "KUBEWORTHY_TEST_KIND"
"""The kubeconfig of a kind cluster that is up and has the probe's image, so that a person need not wait for a new one."""


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A machine with Docker, kind and the node image; its variables are this process's for the session.

    Where it is up already it stays up; else it is put back as it was.
    """
    found = Daemon().running
    up = machines.up(Progress(sys.stderr))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", up.host)
        patch.setenv("PATH", f"{up.programs}{os.pathsep}{os.environ['PATH']}")
        yield up
    if not found:
        machines.down()


@pytest.fixture(scope="session")
def kind_cluster(machine: Machine) -> Iterator[KindCluster]:
    """A highly available kind cluster of this session's own."""
    cluster = create(from_counts(DEFAULT_NODES), image=machine.image, progress=Progress(sys.stderr))
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Cluster:
    """The kind cluster as a run sees it, with the probe's image in its nodes."""
    if kubeconfig := os.environ.get(AT_HAND):
        return Cluster("kind", "kind", CAPABILITIES, Path(kubeconfig))
    cluster: KindCluster = request.getfixturevalue("kind_cluster")
    cluster.load_images([image.probe_image(Progress(None))])
    return as_target(cluster)
