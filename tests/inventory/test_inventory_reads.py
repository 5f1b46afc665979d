"""The inventory over a real API server: complete, in order, read once, and never silent about what it could not read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import METADATA_LIST, Api, Refused
from fixtures.clusters import Cluster
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.inventory import KINDS, Inventory, Unreadable
from fixtures.inventory.discovery import discover
from tests.inventory.conftest import held

SPACE = "inventory-reads"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


@pytest.fixture(scope="module", autouse=True)
def space(admin: Api) -> Iterator[None]:
    admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    yield
    admin.delete(f"/api/v1/namespaces/{SPACE}")


@pytest.fixture
def cluster(embedded: EmbeddedCluster) -> Cluster:
    return Cluster("embedded", "embedded", frozenset({"api", "objects"}), embedded.kubeconfig, state=embedded.state)


@pytest.fixture
def inventory(cluster: Cluster, tmp_path: Path) -> Iterator[Inventory]:
    api = Api.connect(cluster.kubeconfig)
    yield Inventory.open(cluster, api, tmp_path / "shared")
    api.close()


def test_every_known_kind_is_read_or_proved_absent(inventory: Inventory) -> None:
    for name, kind in KINDS.items():
        objects = inventory.objects(name)
        assert inventory.served(name) or not objects
        assert (
            inventory.served(name) or not kind.builtin or "alpha" in str(kind.versions) or kind.versions[-1] != "v1"
        ), name
        for item in objects:
            assert item["kind"] == kind.kind
            assert item["apiVersion"] in {kind.api_version(version) for version in kind.versions}
            assert "managedFields" not in item["metadata"]
            assert ("namespace" in item["metadata"]) == kind.namespaced
        keys = [(item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in objects]
        assert keys == sorted(set(keys))


def test_the_table_knows_scope_kind_and_version_as_the_server_does(admin: Api) -> None:
    served = discover(admin)
    compared = 0
    for name, kind in KINDS.items():
        for one in served.groups.get(kind.group, {}).get(kind.resource, []):
            if one.version in kind.versions:
                assert (one.kind, one.namespaced) == (kind.kind, kind.namespaced), name
                compared += 1
    assert compared >= 45


def test_objects_are_what_the_server_holds(inventory: Inventory, admin: Api) -> None:
    raw = admin.get("/apis/rbac.authorization.k8s.io/v1/clusterroles")["items"]
    for item in raw:
        item["metadata"].pop("managedFields", None)
    expected = {
        item["metadata"]["name"]: {**item, "kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1"}
        for item in raw
    }
    assert {
        item["metadata"]["name"]: item for item in inventory.objects("clusterroles.rbac.authorization.k8s.io")
    } == expected


def test_get_by_namespace_and_whole_agree(inventory: Inventory) -> None:
    assert held(inventory, "namespaces", "", SPACE)["metadata"]["name"] == SPACE
    assert inventory.get("namespaces", "", "no-such") is None
    account = inventory.get("serviceaccounts", "kube-system", "default")
    assert account in inventory.by_namespace("serviceaccounts")["kube-system"]
    assert inventory.get("serviceaccounts", "kube-system", "no-such") is None
    assert inventory.by_namespace("pods")["no-such"] == ()
    assert inventory.whole("namespaces") == inventory.objects("namespaces")
    assert inventory.coverage("namespaces").complete


def test_one_request_lists_a_kind_and_nothing_is_read_before_it_is_asked_for(inventory: Inventory) -> None:
    assert inventory.requests == 0
    inventory.objects("namespaces")
    before = inventory.requests
    assert before <= 4  # discovery (2), rights (1), one page
    inventory.objects("limitranges")
    inventory.objects("namespaces")
    inventory.by_namespace("limitranges")
    inventory.objects("rollouts.argoproj.io")
    assert inventory.requests == before + 1


def test_receipts_say_what_was_read(inventory: Inventory) -> None:
    inventory.objects("namespaces")
    inventory.objects("configmaps")
    inventory.objects("rollouts.argoproj.io")
    receipts = {receipt["kind"]: receipt for receipt in inventory.receipts()}
    assert set(receipts) == {"namespaces", "configmaps", "rollouts.argoproj.io"}
    one = receipts["configmaps"]
    assert (one["apiVersion"], one["pages"], one["requests"], one["metadata_only"]) == ("v1", 1, one["requests"], True)
    assert one["count"] == len(inventory.objects("configmaps"))
    assert int(one["resourceVersion"]) > 0
    assert one["bytes"] > 100
    assert receipts["rollouts.argoproj.io"] == {
        "kind": "rollouts.argoproj.io",
        "served": False,
        "count": 0,
        "pages": 0,
        "requests": 0,
    }


def test_facts_about_the_server(inventory: Inventory, admin: Api) -> None:
    assert inventory.server_version()["gitVersion"].startswith("v1.")
    assert inventory.fingerprint() == admin.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]


def test_many_pages_make_one_list(cluster: Cluster, tmp_path: Path, admin: Api) -> None:
    class TwoByTwo(Api):
        def pages(self, *arguments: Any, **named: Any) -> Iterator[dict[str, Any]]:
            return super().pages(*arguments, **{**named, "limit": 2})

    inventory = Inventory.open(cluster, TwoByTwo.connect(cluster.kubeconfig), tmp_path)
    names = sorted(item["metadata"]["name"] for item in admin.get("/api/v1/namespaces")["items"])
    assert [item["metadata"]["name"] for item in inventory.objects("namespaces")] == names
    assert inventory.receipts()[0]["pages"] == -(-len(names) // 2)


WORKER = """
import json, sys
from pathlib import Path
from fixtures.api import Api
from fixtures.clusters import Cluster
from fixtures.inventory import Inventory
cluster = Cluster.from_json(json.loads(sys.argv[1]))
inventory = Inventory.open(cluster, Api.connect(cluster.kubeconfig), Path(sys.argv[2]))
kinds = ["namespaces", "pods", "clusterroles.rbac.authorization.k8s.io", "configmaps", "rollouts.argoproj.io"]
print(json.dumps([{kind: inventory.objects(kind) for kind in kinds}, inventory.requests]))
"""


def test_workers_share_what_one_has_read(cluster: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, json.dumps(cluster.to_json()), str(tmp_path / "shared")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [json.loads(one.communicate(timeout=120)[0]) for one in running]
    first = answers[0][0]
    assert first["namespaces"]
    assert all(seen == first for seen, _ in answers)
    # discovery costs two requests once, the rights of an administrator one for each worker that lists, then one a kind
    assert sum(requests for _, requests in answers) <= 2 + 4 + 4
    assert (tmp_path / "shared").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "shared").iterdir())


def test_a_worker_that_died_while_reading_blocks_nobody(cluster: Cluster, tmp_path: Path) -> None:
    code = "import fcntl, os, sys\nfcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)\nos.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "namespaces.list.lock")], check=False)
    assert Inventory.open(cluster, Api.connect(cluster.kubeconfig), tmp_path).objects("namespaces")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deployments", "did you mean deployments.apps"),
        ("networkpolicy.networking.k8s.io", "did you mean networkpolicies.networking.k8s.io"),
        ("networkpolicies.networking.k8s.oi", "did you mean networkpolicies.networking.k8s.io"),
        ("pod", "did you mean pods"),
        ("tokenreviews.authentication.k8s.io", "does not offer to list"),
        ("../pods", "resource.group"),
        ("", "resource.group"),
    ],
)
def test_a_name_that_is_no_kind_is_never_empty(inventory: Inventory, name: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        inventory.objects(name)
    with pytest.raises(Unreadable, match=words):
        inventory.served(name) and inventory.objects(name)


def test_a_custom_kind_is_absent_before_its_definition_and_read_after_it(
    cluster: Cluster, admin: Api, tmp_path: Path
) -> None:
    before = Inventory.open(cluster, Api.connect(cluster.kubeconfig), tmp_path / "before")
    assert (before.served("gadgets.things.example"), before.objects("gadgets.things.example")) == (False, ())
    version = {
        "name": "v1", "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }  # fmt: skip
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}
    spec = {"group": "things.example", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.things.example"}, "spec": spec,
    }  # fmt: skip
    start = admin.create(CRDS, definition)["metadata"]["resourceVersion"]
    try:
        for event in admin.watch(CRDS, start, 20, {"fieldSelector": "metadata.name=gadgets.things.example"}):
            conditions = event["object"].get("status", {}).get("conditions", [])
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                break
        served_by(admin, "things.example")
        path = f"/apis/things.example/v1/namespaces/{SPACE}/gadgets"
        admin.create(
            path, {"apiVersion": "things.example/v1", "kind": "Gadget", "metadata": {"name": "one"}, "size": 3}
        )
        after = Inventory.open(cluster, Api.connect(cluster.kubeconfig), tmp_path / "after")
        found = held(after, "gadgets.things.example", SPACE, "one")
        assert (found["apiVersion"], found["kind"], found["size"]) == ("things.example/v1", "Gadget", 3)
    finally:
        admin.delete(f"{CRDS}/gadgets.things.example")


def served_by(api: Api, group: str) -> None:
    """Wait until discovery shows `group`; bounded by the number of requests and the server's answers."""
    for _ in range(2000):
        if group in discover(api).groups:
            return
    raise AssertionError(f"{group} is not served")


def test_an_aggregated_api_whose_backend_is_down_is_not_absent(cluster: Cluster, admin: Api, tmp_path: Path) -> None:
    spec = {
        "group": "broken.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": True, "service": {"name": "nobody", "namespace": SPACE},
    }  # fmt: skip
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.broken.example"},
        "spec": spec,
    }
    admin.create(SERVICES, service)
    try:
        served_by(admin, "broken.example")
        inventory = Inventory.open(cluster, Api.connect(cluster.kubeconfig), tmp_path)
        with pytest.raises(Unreadable, match=r"discovery of the API group broken\.example failed"):
            inventory.objects("things.broken.example")
        with pytest.raises(Unreadable, match=r"discovery of the API group broken\.example failed"):
            inventory.served("things.broken.example")
        assert inventory.served("pods")
        old = discover(WithoutAggregation.connect(cluster.kubeconfig))
        assert "broken.example" in old.broken
    finally:
        admin.delete(f"{SERVICES}/v1.broken.example")


class WithoutAggregation(Api):
    """A client for whom the server is too old to know aggregated discovery."""

    def get(self, path: str, query: Any = None, accept: str = "application/json", timeout: float | None = None) -> Any:
        if "apidiscovery" in accept:
            raise Refused(406, "NotAcceptable", "only the following media types are accepted", path)
        return super().get(path, query, accept, timeout)


def test_a_server_without_aggregated_discovery_serves_the_same(cluster: Cluster) -> None:
    new = discover(Api.connect(cluster.kubeconfig))
    old = discover(WithoutAggregation.connect(cluster.kubeconfig))
    assert not new.broken
    assert not old.broken
    assert set(KINDS) & {f"{r}.{g}" if g else r for g, resources in new.groups.items() for r in resources}
    for name in KINDS:
        assert new.find(name) == old.find(name)


def test_a_server_too_old_for_metadata_only_is_unreadable_not_read_whole(cluster: Cluster, tmp_path: Path) -> None:
    class TooOld(Api):
        def get(
            self, path: str, query: Any = None, accept: str = "application/json", timeout: float | None = None
        ) -> Any:
            if accept == METADATA_LIST:
                raise Refused(406, "NotAcceptable", "only the following media types are accepted", path)
            return super().get(path, query, accept, timeout)

    inventory = Inventory.open(cluster, TooOld.connect(cluster.kubeconfig), tmp_path)
    with pytest.raises(Unreadable, match="list secrets: only the following media types"):
        inventory.objects("secrets")
