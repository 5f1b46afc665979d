"""No object that an API server admits, however odd, crashes a check."""

from __future__ import annotations

import builtins
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.api import Api, ApiError
from fixtures.catalogue import load
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.embedded.target import as_target
from fixtures.inventory import Inventory
from fixtures.inventory.kinds import BY_KIND
from fixtures.inventory.source import Listing
from fixtures.inventory.store import Store
from fixtures.plugin.groups import groups
from fixtures.plugin.judge import given as arguments
from fixtures.plugin.judge import judge
from fixtures.plugin.run import Run
from fixtures.policy import LoadedPolicy, Policy
from reports.words import Verdict
from tests.proofs.random_objects import OBJECT

Raw = dict[str, Any]

POLICY = Policy.model_validate(
    {
        "subjects": {
            "operator": {"namespace": "default", "name": "web"},
            "critical": ["default/*"],
            "tenant_label": "app",
        }
    }
)
STATIC = [check for check in load().values() if check.module.startswith("suites.")]


class Admitted:
    """A source of exactly the objects that the API server admitted, beside the namespaces that every cluster has."""

    def __init__(self, objects: list[Raw], version: Raw) -> None:
        self._version = version
        self._kinds: dict[str, list[Raw]] = defaultdict(list)
        for name in ("default", "kube-system"):
            space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name}}
            self._kinds["namespaces"].append(space)
        for raw in objects:
            group = raw["apiVersion"].rpartition("/")[0]
            self._kinds[BY_KIND[group, raw["kind"]].name].append(raw)

    def served(self, name: str) -> bool:
        return True

    def silent(self, name: str) -> bool:
        return False

    def list(self, name: str) -> Listing:
        return Listing(tuple(self._kinds[name]), receipt={"kind": name, "count": 0, "pages": 1})

    def notes(self) -> builtins.list[str]:
        return []

    def version(self) -> Raw:
        return self._version

    def fingerprint(self) -> str:
        return "random"


@pytest.fixture(scope="module")
def api(embedded: EmbeddedCluster) -> Api:
    return Api.connect(embedded.kubeconfig)


def admit(api: Api, raw: Raw) -> Raw | None:
    """What the server would have stored, defaulted and validated (a server-side dry run); None where it refuses."""
    group, _, version = raw["apiVersion"].rpartition("/")
    kind = BY_KIND[group, raw["kind"]]
    try:
        stored = api.create(kind.path(version, "default" if kind.namespaced else ""), raw, {"dryRun": "All"})
    except ApiError as error:
        if error.status not in (400, 403, 409, 422):
            raise
        return None
    return {**stored, "apiVersion": raw["apiVersion"], "kind": raw["kind"]}


ADMITTED: list[str] = []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(drawn=st.lists(OBJECT, min_size=1, max_size=6))
def test_no_admitted_object_crashes_a_check(
    drawn: list[Raw], api: Api, embedded: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    admitted = [stored for raw in drawn if (stored := admit(api, raw))]
    ADMITTED.extend(raw["kind"] for raw in admitted)
    folder = tmp_path_factory.getbasetemp() / uuid.uuid4().hex
    folder.mkdir()

    crashed = judged(admitted, api.get("/version"), embedded, folder)

    assert crashed == [], admitted


def judged(objects: list[Raw], version: Raw, embedded: EmbeddedCluster, folder: Path) -> list[str]:
    """Every check that ended in an error over these objects, and why."""
    loaded = LoadedPolicy(policy=POLICY, path="", digest="", required=())
    run = Run(as_target(embedded), loaded, folder, folder, "cluster", ())
    run.__dict__["inventory"] = Inventory(Admitted(objects, version), Store(folder))
    errors = []
    for check in STATIC:
        function = getattr(__import__(check.module, fromlist=["_"]), check.function)
        for group in groups(run, check):
            records = judge(run, check, group, function, arguments(run, check, function))
            errors += [f"{one.property}: {one.reason}" for one in records if one.verdict is Verdict.ERROR]
    return errors


def test_the_server_admitted_enough_of_every_sort_to_mean_anything() -> None:
    assert len(ADMITTED) > 60
    assert len(set(ADMITTED)) >= 10, sorted(set(ADMITTED))
