"""Identities with as few rights as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import Api, Conflict
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.inventory import Inventory
from tests.inventory.loopback import kubeconfig

HOME = "identities"


def held(inventory: Inventory, kind: str, namespace: str, name: str) -> dict[str, Any]:
    """An object that has to be there."""
    found = inventory.get(kind, namespace, name)
    assert found is not None
    return found


@dataclass(frozen=True)
class Identity:
    """A ServiceAccount, and a kubeconfig that speaks for it."""

    user: str
    kubeconfig: Path


@pytest.fixture(scope="session")
def admin(embedded: EmbeddedCluster) -> Iterator[Api]:
    api = Api.connect(embedded.kubeconfig)
    with suppress(Conflict):  # another folder of tests uses these fixtures, too
        api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
    yield api
    api.close()


@pytest.fixture
def identity(embedded: EmbeddedCluster, admin: Api, tmp_path: Path) -> Iterator[Callable[..., Identity]]:
    """Make a ServiceAccount: `identity(name, cluster=[rules], inside={namespace: [rules]})`."""
    made: list[str] = []
    group = "/apis/rbac.authorization.k8s.io/v1"

    def bind(kind: str, path: str, name: str, rules: list[dict[str, Any]]) -> None:
        version = "rbac.authorization.k8s.io/v1"
        prefix = "Cluster" if kind == "ClusterRole" else ""
        folder = f"{group}{path}/{kind.lower()}s"
        bindings = f"{group}{path}/{prefix.lower()}rolebindings"
        admin.create(folder, {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "rules": rules})
        made.append(f"{folder}/{name}")
        admin.create(
            bindings,
            {
                "apiVersion": version,
                "kind": f"{prefix}RoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": HOME}],
            },
        )
        made.append(f"{bindings}/{name}")

    def make(
        name: str, *, cluster: list[dict[str, Any]] | None = None, inside: dict[str, list[dict[str, Any]]] | None = None
    ) -> Identity:
        accounts = f"/api/v1/namespaces/{HOME}/serviceaccounts"
        admin.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
        made.append(f"{accounts}/{name}")
        if cluster:
            bind("ClusterRole", "", name, cluster)
        for namespace, rules in (inside or {}).items():
            bind("Role", f"/namespaces/{namespace}", name, rules)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        token = admin.create(f"{accounts}/{name}/token", request)["status"]["token"]
        ca = Path(embedded.ca).read_text()
        file = kubeconfig(tmp_path / name, admin.host, ca=ca, user={"token": token})
        return Identity(f"system:serviceaccount:{HOME}:{name}", file)

    yield make
    for path in reversed(made):
        admin.delete(path)
