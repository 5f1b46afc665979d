"""The reference platform for nodes that run containers: what changes, and that nothing else does."""

from __future__ import annotations

import copy
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from fixtures import platform, policy, requirements
from fixtures.api import Api
from fixtures.catalogue import load
from fixtures.clusters.embedded.handle import start
from fixtures.clusters.embedded.progress import Progress
from fixtures.clusters.embedded.target import CAPABILITIES
from fixtures.lab.image import tag
from fixtures.platform.manifests import Raw, key, read
from fixtures.platform.running import (
    CPU_DIVISOR,
    LIVE,
    READY,
    SERVERS,
    NotRunnable,
    as_running,
    images,
    pod_spec,
    write_images,
)
from fixtures.plugin import account
from fixtures.quantities import quantity

GOOD = read("good")
HERE = as_running(GOOD, ["172.18.0.4", "172.18.0.5"], ["x", "y"])
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
ENDING = ("Job", "CronJob")


def containers(objects: list[Raw]) -> dict[tuple[str, str, str], Raw]:
    return {key(raw): pod["containers"][0] for raw in objects if (pod := pod_spec(raw))}


BEFORE, AFTER = containers(GOOD), containers(HERE)


def of_kind(kind: str) -> list[Raw]:
    return [raw for raw in HERE if raw["kind"] == kind]


def opened(container: Raw) -> dict[str, str]:
    words = container["args"]
    return dict(zip(words[1::2], words[2::2], strict=True))


def test_the_manifests_are_not_changed() -> None:
    assert read("good") == GOOD


def test_every_workload_runs_but_the_clusters_own_dns() -> None:
    assert set(BEFORE) - set(AFTER) == {("Deployment", "kube-system", "coredns")}
    assert ("DaemonSet", "agents", "node-agent") in AFTER
    assert ("PodDisruptionBudget", "kube-system", "coredns") in {key(raw) for raw in HERE}


@pytest.mark.parametrize("name", [one for one in AFTER if one[0] not in ENDING], ids="/".join)
def test_a_probe_asks_what_the_program_answers(name: tuple[str, str, str]) -> None:
    container = AFTER[name]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listens = opened(container)

    for kind in PROBES:
        assert len(container[kind].keys() & {"httpGet", "tcpSocket", "exec"}) == 1
        if http := container[kind].get("httpGet"):
            assert http == {"port": http["port"], "path": READY if kind == "readinessProbe" else LIVE}
            assert listens["--http"] == f":{ports[http['port']]}"
        else:
            port = container[kind]["tcpSocket"]["port"]
            assert listens["--tcp"] == f":{ports.get(port, port)}"
    assert {f":{port}" for port in ports.values()} <= set(listens.values())


@pytest.mark.parametrize("name", [one for one in AFTER if one[0] in ENDING], ids="/".join)
def test_a_job_ends(name: tuple[str, str, str]) -> None:
    assert AFTER[name]["args"] == ["sleep", "0"]


@pytest.mark.parametrize("name", AFTER, ids="/".join)
def test_nothing_else_of_a_container_changes(name: tuple[str, str, str]) -> None:
    before, after = (dict(one[name]) for one in (BEFORE, AFTER))
    figures: list[list[Any]] = []
    for container in (before, after):
        container.pop("args", None)
        container.pop("resources")
        taken = [container.pop(kind, {}) for kind in PROBES]
        figures.append([{k: v for k, v in one.items() if k not in ("httpGet", "tcpSocket", "exec")} for one in taken])

    assert before == after
    assert figures[0] == figures[1]


@pytest.mark.parametrize("name", AFTER, ids="/".join)
def test_cpu_keeps_its_ratios_and_memory_its_figures(name: tuple[str, str, str]) -> None:
    divisor = 1 if name[0] == "DaemonSet" else CPU_DIVISOR
    before, after = BEFORE[name]["resources"], AFTER[name]["resources"]

    assert before.keys() == after.keys()
    for bound in before:
        assert quantity(after[bound]["cpu"]) * divisor == quantity(before[bound]["cpu"])
        assert after[bound]["memory"] == before[bound]["memory"]


def test_no_storage_is_promised_that_is_not_there() -> None:
    [fast] = of_kind("StorageClass")
    claimed = {
        claim["spec"]["storageClassName"]
        for raw in of_kind("StatefulSet")
        for claim in raw["spec"]["volumeClaimTemplates"]
    }

    assert (fast["provisioner"], "parameters" in fast) == ("kubernetes.io/no-provisioner", False)
    assert claimed == {"fast", "standard"}
    assert not of_kind("CSIDriver")
    volumes = [raw["spec"] for raw in of_kind("PersistentVolume")]
    assert {spec["storageClassName"] for spec in volumes} == {"fast"}
    assert not any("csi" in spec for spec in volumes)
    assert len({spec["hostPath"]["path"] for spec in volumes}) == len(volumes) == 3
    terms = [spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0] for spec in volumes]
    assert [term["values"] for term in terms] == [["x"], ["y"], ["x"]]


def test_network_policies_name_the_api_servers_that_there_are() -> None:
    text = json.dumps(of_kind("NetworkPolicy"))

    assert not any(server in text for server in SERVERS)
    assert text.count("172.18.0.4/32") == text.count("172.18.0.5/32") == 2
    assert json.dumps([raw for raw in GOOD if raw["kind"] == "NetworkPolicy"]).count(SERVERS[0]) == 2


def test_what_two_ports_would_answer_is_refused() -> None:
    objects = copy.deepcopy(GOOD)
    containers(objects)["Deployment", "shop", "web"]["livenessProbe"]["httpGet"]["port"] = "metrics"

    with pytest.raises(NotRunnable, match="Deployment web, container web"):
        as_running(objects, ["172.18.0.4"], ["x"])


def test_the_image_has_every_name_that_the_platform_uses(tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    write_images(path, GOOD, Progress(sys.stderr))

    with tarfile.open(path) as archive:
        [entry] = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
    assert entry["RepoTags"] == [tag(), *images(GOOD)]
    assert {container["image"] for container in AFTER.values()} <= set(entry["RepoTags"])


def test_nodes_without_zones_are_refused() -> None:
    cluster = start(1)
    try:
        api = Api.connect(cluster.kubeconfig)
        node = next(one for one in api.get("/api/v1/nodes")["items"] if not one["spec"].get("taints"))
        labels = {"metadata": {"labels": {"topology.kubernetes.io/zone": None}}}
        api.patch(f"/api/v1/nodes/{node['metadata']['name']}", labels)

        with pytest.raises(platform.PlatformError, match=r"topology.kubernetes.io/zone.*--platform none"):
            platform.load(api, "good", print, running=True)
    finally:
        cluster.stop()


def test_the_policy_for_kind_is_that_of_the_embedded_cluster_and_what_containers_add() -> None:
    embedded, kind = (policy.load(platform.POLICIES[name], None) for name in ("embedded", "kind"))
    spared = {"require", "not_required", "scope"}
    added = set(kind.required) - set(embedded.required)

    assert set(embedded.required) <= set(kind.required)
    assert all(load()[name].needs - CAPABILITIES for name in added)
    assert embedded.policy.model_dump(exclude=spared) == kind.policy.model_dump(exclude=spared)
    assert kind.policy.scope.model_copy(update={"system": ()}) == embedded.policy.scope
    assert set(kind.policy.not_required) <= account.known(load(), requirements.load())
