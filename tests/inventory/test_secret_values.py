"""No value of a Secret or a ConfigMap comes into this process, or stays in it where a server cannot leave it out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import Api
from fixtures.clusters import Cluster
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.snapshot import open_snapshot
from fixtures.inventory import KINDS, Inventory
from tests.inventory.conftest import held

SPACE = "secret-values"
CANARY = "canary-7f3a91c2"
ENCODED = base64.b64encode(CANARY.encode()).decode()
KEPT = "kubectl.kubernetes.io/last-applied-configuration"


class Overheard(Api):
    """A client that keeps every answer as it came in."""

    heard: bytes = b""

    def raw(self, *arguments: Any, **named: Any) -> bytes:
        body = super().raw(*arguments, **named)
        self.heard += body
        return body


def objects(*, annotated: bool) -> list[dict[str, Any]]:
    """A Secret and a ConfigMap with the canary in every place for values, and, as kubectl does, in an annotation."""
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Secret", "data": {"a": ENCODED}, "stringData": {"b": CANARY}},
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": CANARY}, "binaryData": {"b": ENCODED}},
    ]
    for item in made:
        item["metadata"] = {
            "name": "with-annotation" if annotated else "plain",
            "namespace": SPACE,
            "labels": {"seen": "yes"},
        }
        if annotated:
            item["metadata"]["annotations"] = {KEPT: json.dumps(item), "cert-manager.io/certificate-name": "web"}
    return made


@pytest.fixture(scope="module", autouse=True)
def planted(admin: Api) -> Iterator[None]:
    admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    yield
    admin.delete(f"/api/v1/namespaces/{SPACE}")


def has_canary(data: bytes) -> bool:
    return CANARY.encode() in data or ENCODED.encode() in data


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def plant(admin: Api, items: list[dict[str, Any]]) -> None:
    for item in items:
        admin.create(f"/api/v1/namespaces/{SPACE}/{item['kind'].lower()}s", item)


def test_no_answer_of_the_server_holds_a_value(embedded: EmbeddedCluster, admin: Api, tmp_path: Path) -> None:
    plant(admin, objects(annotated=False))
    cluster = Cluster("x", "embedded", frozenset({"api"}), embedded.kubeconfig)
    api = Overheard.connect(cluster.kubeconfig)
    inventory = Inventory.open(cluster, api, tmp_path)
    for kind in KINDS:
        inventory.objects(kind)
    for kind in ("secrets", "configmaps"):
        found = held(inventory, kind, SPACE, "plain")
        assert set(found) == {"apiVersion", "kind", "metadata"}
        assert found["metadata"]["labels"] == {"seen": "yes"}
        assert found["kind"] == KINDS[kind].kind
    assert len(api.heard) > 10_000
    assert not has_canary(api.heard)
    assert not has_canary(everything(tmp_path))


def test_an_object_that_a_tool_kept_in_an_annotation_is_dropped_as_it_is_parsed(
    embedded: EmbeddedCluster, admin: Api, tmp_path: Path
) -> None:
    plant(admin, objects(annotated=True))
    cluster = Cluster("x", "embedded", frozenset({"api"}), embedded.kubeconfig)
    inventory = Inventory.open(cluster, Api.connect(cluster.kubeconfig), tmp_path)
    for kind in ("secrets", "configmaps"):
        annotations = held(inventory, kind, SPACE, "with-annotation")["metadata"]["annotations"]
        assert annotations == {KEPT: "", "cert-manager.io/certificate-name": "web"}
        assert not has_canary(repr(inventory.objects(kind)).encode())
    assert not has_canary(everything(tmp_path))


@pytest.mark.parametrize("shape", ["documents", "List", "typed"])
def test_a_snapshot_forgets_values_as_it_is_read(tmp_path: Path, shape: str) -> None:
    items = objects(annotated=True)
    folder = tmp_path / "manifests"
    folder.mkdir()
    if shape == "documents":
        (folder / "all.yaml").write_text("\n---\n".join(json.dumps(item) for item in items))
    elif shape == "List":
        (folder / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    else:
        for item in items:
            kind = item.pop("kind")
            del item["apiVersion"]
            (folder / f"{kind}.json").write_text(
                json.dumps({"apiVersion": "v1", "kind": f"{kind}List", "items": [item]})
            )
    inventory = Inventory.open(open_snapshot((folder,)), None, tmp_path / "shared")
    for kind in ("secrets", "configmaps"):
        found = held(inventory, kind, SPACE, "with-annotation")
        assert set(found) == {"apiVersion", "kind", "metadata"}
        assert found["metadata"]["annotations"][KEPT] == ""
    assert inventory.fingerprint().startswith("sha256:")
    assert not has_canary(everything(tmp_path / "shared"))
