"""A cluster as it comes out of the box raises no alarm about its own roles and bindings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.api import Api
from fixtures.catalogue import load
from fixtures.clusters.embedded.handle import EmbeddedCluster, start
from fixtures.clusters.embedded.target import as_target
from fixtures.inventory.kinds import BY_KIND
from fixtures.plugin.groups import groups
from fixtures.plugin.judge import given, judge
from fixtures.plugin.run import Run
from fixtures.policy import LoadedPolicy, Policy
from reports.record import Record
from reports.words import Verdict

Raw = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
GRANTS = sorted(
    one for one, check in load().items() if check.module.endswith(("rbac.test_grants", "rbac.test_cluster_grants"))
)
OBJECTS = Path(__file__).parent / "kubeadm_and_kind.yaml"
HARMLESS = {Verdict.PASS, Verdict.NOT_APPLICABLE}


def judged(cluster: EmbeddedCluster, property_id: str, folder: Path) -> list[Record]:
    loaded = LoadedPolicy(policy=Policy(), path="", digest="", required=())
    run = Run(as_target(cluster), loaded, folder, folder, "cluster", ())
    check = load()[property_id]
    function = getattr(__import__(check.module, fromlist=["_"]), check.function)
    return [
        record
        for group in groups(run, check)
        for record in judge(run, check, group, function, given(run, check, function))
    ]


@pytest.fixture(scope="module")
def untouched() -> Iterator[EmbeddedCluster]:
    """A cluster of this module's own: what other tests leave behind on theirs would be judged."""
    cluster = start(members=1)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def bare(untouched: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Record]]:
    """The records about a cluster that nobody has added anything to."""
    folder = tmp_path_factory.mktemp("bare")
    return {one: judged(untouched, one, folder) for one in GRANTS}


@pytest.fixture(scope="module")
def installed(
    bare: object, untouched: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Record]]:
    """The records about a cluster with what kubeadm and kind install; `bare` was looked at before."""
    api = Api.connect(untouched.kubeconfig)
    for raw in [NAMESPACE, CLASS, *map(whole, yaml.safe_load(OBJECTS.read_text()))]:
        create(api, raw)
    folder = tmp_path_factory.mktemp("installed")
    return {one: judged(untouched, one, folder) for one in GRANTS}


NAMESPACE: Raw = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "local-path-storage"}}
CLASS: Raw = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard"},
    "provisioner": "rancher.io/local-path",
}


def whole(plain: Raw) -> Raw:
    """An object of the table, spelt out."""
    metadata = {key: plain[key] for key in ("name", "namespace") if key in plain}
    raw: Raw = {"apiVersion": f"{GROUP}/v1", "kind": plain["kind"], "metadata": metadata}
    if "rules" in plain:
        return {**raw, "rules": plain["rules"]}
    role_kind, role = plain["role"].split("/")
    kind, *names = plain["to"].split("/")
    subject = {"kind": kind, "name": names[-1]}
    subject |= {"namespace": names[0]} if kind == "ServiceAccount" else {"apiGroup": GROUP}
    return {**raw, "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}, "subjects": [subject]}


def create(api: Api, raw: Raw) -> None:
    group, _, version = raw["apiVersion"].rpartition("/")
    api.create(BY_KIND[(group, raw["kind"])].path(version, raw["metadata"].get("namespace", "")), raw)


@pytest.mark.parametrize("property_id", GRANTS)
def test_a_bare_control_plane_raises_no_alarm(property_id: str, bare: dict[str, list[Record]]) -> None:
    assert {record.subject: record.findings for record in bare[property_id] if record.verdict not in HARMLESS} == {}


@pytest.mark.parametrize("property_id", GRANTS)
def test_what_kubeadm_and_kind_install_raises_no_alarm(property_id: str, installed: dict[str, list[Record]]) -> None:
    assert {
        record.subject: record.findings for record in installed[property_id] if record.verdict not in HARMLESS
    } == {}


def test_what_they_install_is_looked_at(installed: dict[str, list[Record]]) -> None:
    """Bindings to nodes, joining nodes, anonymous and accounts outside of kube-system are judged, not left out."""
    subjects = {
        record.subject for record in installed["rbac.no-default-group-grants"] if record.verdict is Verdict.PASS
    }

    assert {
        "ClusterRoleBinding kubeadm:get-nodes",
        "ClusterRoleBinding local-path-provisioner-bind",
        "RoleBinding kube-public/kubeadm:bootstrap-signer-clusterinfo",
    } <= subjects
