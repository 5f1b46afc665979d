"""The stage on which every case of a session is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.api import Api
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.embedded.target import as_target
from tests.proofs.case import Case
from tests.proofs.stage import Stage


@pytest.fixture(scope="session")
def stage(embedded: EmbeddedCluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A stage on the session's embedded cluster, set up with the cases that were selected."""
    cases = [case for item in request.session.items if (case := _case(item))]
    folder: Path = tmp_path_factory.mktemp("stage")
    return Stage(as_target(embedded), Api.connect(embedded.kubeconfig, None), folder, cases)


def _case(item: pytest.Item) -> Case | None:
    case = item.callspec.params.get("case") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    return case if isinstance(case, Case) else None
