"""An identity with few rights: what is refused is named, what is allowed is read, and what was seen is written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import Api
from fixtures.clusters import Cluster
from fixtures.clusters.access import open_api
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.inventory import Inventory, Unreadable
from tests.inventory.conftest import Identity, held

READ = ["get", "list", "watch"]
CORE = [{"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": READ}]
TEAMS = ("rights-a", "rights-b", "rights-c")
MakeIdentity = Callable[..., Identity]


@pytest.fixture(scope="module", autouse=True)
def teams(admin: Api) -> Iterator[None]:
    for name in TEAMS:
        admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"of-{name}"}}
        admin.create(f"/api/v1/namespaces/{name}/configmaps", body)
    yield
    for name in TEAMS:
        admin.delete(f"/api/v1/namespaces/{name}")


def opened(who: Identity, shared: Path, *namespaces: str) -> Inventory:
    cluster = Cluster("live-x", "live", frozenset({"api", "objects"}), who.kubeconfig, "test")
    return Inventory.open(cluster, open_api(cluster, shared), shared, namespaces)


def names(items: tuple[dict[str, Any], ...]) -> set[str]:
    return {item["metadata"]["name"] for item in items}


def refused_lists(embedded: EmbeddedCluster, user: str) -> list[str]:
    """The resources whose LIST the servers refused to `user`, from their audit logs."""
    found = []
    for index in range(len(embedded.api_servers)):
        for line in Path(embedded.layout.audit_log(index)).read_text().splitlines():
            event = json.loads(line)
            if (
                event["user"].get("username") == user
                and event["verb"] == "list"
                and event["responseStatus"]["code"] == 403
            ):
                found.append(event["objectRef"]["resource"])
    return found


def test_a_refused_kind_is_unreadable_by_name_and_was_never_tried(
    embedded: EmbeddedCluster, identity: MakeIdentity, tmp_path: Path
) -> None:
    who = identity("reads-core", cluster=CORE)
    inventory = opened(who, tmp_path)
    assert inventory.objects("configmaps")
    with pytest.raises(Unreadable) as error:
        inventory.objects("deployments.apps")
    assert error.value.kind == "deployments.apps"
    assert error.value.reason == f"list deployments.apps: forbidden to {who.user} in the whole cluster"
    for read in (inventory.whole, inventory.by_namespace, inventory.coverage):
        with pytest.raises(Unreadable):
            read("deployments.apps")
    with pytest.raises(Unreadable):
        inventory.get("deployments.apps", "default", "x")
    assert inventory.served("deployments.apps")  # it exists, it may only not be read
    assert refused_lists(embedded, who.user) == []
    unread = [receipt for receipt in inventory.receipts() if "unreadable" in receipt]
    assert [receipt["kind"] for receipt in unread] == ["deployments.apps"]


def test_a_refusal_is_shared_and_not_asked_for_twice(identity: MakeIdentity, tmp_path: Path) -> None:
    who = identity("asks-once", cluster=CORE)
    with pytest.raises(Unreadable):
        opened(who, tmp_path).objects("deployments.apps")
    second = opened(who, tmp_path)
    with pytest.raises(Unreadable, match="forbidden"):
        second.objects("deployments.apps")
    assert second.requests == 0


def test_rights_in_some_namespaces_read_those_and_say_so(
    embedded: EmbeddedCluster, identity: MakeIdentity, tmp_path: Path
) -> None:
    who = identity("two-of-three", inside={"rights-a": CORE, "rights-b": CORE})
    inventory = opened(who, tmp_path, *TEAMS)
    assert {"of-rights-a", "of-rights-b"} <= names(inventory.objects("configmaps"))
    assert "of-rights-c" not in names(inventory.objects("configmaps"))
    coverage = inventory.coverage("configmaps")
    assert not coverage.complete
    assert coverage.namespaces == frozenset({"rights-a", "rights-b"})
    assert coverage.unseen == {"rights-c": f"list configmaps: forbidden to {who.user} in namespace rights-c"}
    with pytest.raises(Unreadable, match="namespace rights-c"):
        inventory.whole("configmaps")
    spaces = inventory.by_namespace("configmaps")
    assert names(spaces["rights-a"]) >= {"of-rights-a"}
    assert inventory.by_namespace("pods")["rights-b"] == ()
    for unseen in ("rights-c", "default"):
        with pytest.raises(Unreadable, match=unseen):
            spaces[unseen]
        with pytest.raises(Unreadable, match=unseen):
            spaces.get(unseen, ())
        with pytest.raises(Unreadable, match=unseen):
            inventory.get("configmaps", unseen, "x")
    assert inventory.get("configmaps", "rights-a", "no-such") is None
    with pytest.raises(Unreadable, match="rights-a"):
        inventory.objects("deployments.apps")
    with pytest.raises(Unreadable, match="whole cluster"):
        inventory.objects("nodes")
    assert refused_lists(embedded, who.user) == []


def test_a_scope_that_was_read_in_full_is_whole(identity: MakeIdentity, tmp_path: Path) -> None:
    who = identity("all-of-scope", inside={"rights-a": CORE, "rights-b": CORE})
    inventory = opened(who, tmp_path, "rights-a", "rights-b")
    assert inventory.whole("configmaps") == inventory.objects("configmaps")
    assert inventory.coverage("configmaps").complete
    assert inventory.receipts()[0]["namespaces"] == ["rights-a", "rights-b"]


def test_without_a_scope_rights_in_a_namespace_read_nothing(identity: MakeIdentity, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="whole cluster"):
        opened(identity("no-scope", inside={"rights-a": CORE}), tmp_path).objects("configmaps")


def test_the_namespaces_of_the_scope_are_got_one_by_one_where_they_cannot_be_listed(
    identity: MakeIdentity, tmp_path: Path
) -> None:
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]
    inventory = opened(identity("gets-own", inside={"rights-a": rules}), tmp_path, "rights-a", "rights-b")
    assert names(inventory.objects("namespaces")) == {"rights-a"}
    assert held(inventory, "namespaces", "", "rights-a")["metadata"]["uid"]
    with pytest.raises(Unreadable, match="rights-b"):
        inventory.get("namespaces", "", "rights-b")
    with pytest.raises(Unreadable, match="rights-b"):
        inventory.whole("namespaces")


def test_rights_by_wildcard_group_and_resource_name_are_told_apart(
    embedded: EmbeddedCluster, identity: MakeIdentity, tmp_path: Path
) -> None:
    who = identity(
        "shapes",
        inside={
            "rights-a": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
            "rights-b": [{"apiGroups": [""], "resources": ["deployments"], "verbs": ["list"]}],
            "rights-c": [
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"], "resourceNames": ["one"]}
            ],
        },
    )
    inventory = opened(who, tmp_path, *TEAMS)
    assert inventory.coverage("deployments.apps").namespaces == frozenset({"rights-a"})
    assert set(inventory.coverage("deployments.apps").unseen) == {"rights-b", "rights-c"}
    assert refused_lists(embedded, who.user) == []


def test_an_administrator_is_asked_about_once(embedded: EmbeddedCluster, tmp_path: Path) -> None:
    cluster = Cluster("live-x", "live", frozenset({"api"}), embedded.kubeconfig)
    inventory = Inventory.open(cluster, open_api(cluster, tmp_path), tmp_path)
    for kind in ("pods", "nodes", "namespaces", "limitranges"):
        inventory.objects(kind)
    assert inventory.requests == 2 + 1 + 4
