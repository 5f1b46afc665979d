"""The nodes of a kind cluster: images get into them, faults get through to the API server, processes can be told apart."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import Api, ApiError
from fixtures.clusters import live
from fixtures.clusters.embedded.versions import architecture
from fixtures.clusters.kind.errors import KindError, ProgramFailed
from fixtures.clusters.kind.handle import KindCluster, reuse
from fixtures.clusters.kind.nodes import NodeProcess
from fixtures.clusters.kind.target import CAPABILITIES, as_target
from fixtures.images import Image, Layer, write_archive
from fixtures.limits import KIND_POLL, KIND_READY_DEADLINE
from tests.kind.machine.component_images import SHELL

NAMESPACE = "kind-nodes"
LOADED = "registry.local/loaded:1"


def eventually(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + KIND_READY_DEADLINE.value
    while not condition():
        assert time.monotonic() < until, f"not within {KIND_READY_DEADLINE.value:g} s: {what}"
        time.sleep(KIND_POLL.value)


def is_ready(item: Any) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@pytest.fixture(scope="module")
def api(kind_cluster: KindCluster) -> Iterator[Api]:
    client = Api.connect(kind_cluster.kubeconfig, kind_cluster.context)
    client.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    yield client
    client.delete(f"/api/v1/namespaces/{NAMESPACE}")
    client.close()


@pytest.fixture
def worker(kind_cluster: KindCluster, api: Api) -> str:
    name = next(node.name for node in kind_cluster.nodes.kubernetes() if node.role == "worker")
    eventually(lambda: is_ready(api.get(f"/api/v1/nodes/{name}")), f"{name} is Ready")
    return name


def pod(name: str, image: str, *command: str, **labels: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": image, "imagePullPolicy": "Never"}
    if command:
        container["command"] = list(command)
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def run_pod(api: Api, description: dict[str, Any]) -> Any:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    api.create(path, description)
    name = description["metadata"]["name"]
    eventually(lambda: is_ready(api.get(f"{path}/{name}")), f"the pod {name} is ready")
    return api.get(f"{path}/{name}")


def test_there_are_three_control_planes_and_three_workers(kind_cluster: KindCluster) -> None:
    roles = [node.role for node in kind_cluster.nodes.all()]

    assert sorted(roles) == ["control-plane"] * 3 + ["external-load-balancer"] + ["worker"] * 3
    assert len(kind_cluster.nodes.kubernetes()) == 6


def test_the_cluster_is_a_target_of_its_own(kind_cluster: KindCluster) -> None:
    target = as_target(kind_cluster)

    assert (target.id, target.kind, target.capabilities) == ("kind", "kind", CAPABILITIES)


def test_a_reused_cluster_is_a_strangers(kind_cluster: KindCluster, tmp_path: Path) -> None:
    again = reuse(kind_cluster.name, tmp_path)
    target = as_target(again)

    assert target.kind == "live"
    assert target.capabilities == live.CAPABILITIES
    assert "node-access" in as_target(again, ("disruption",)).capabilities
    Api.connect(again.kubeconfig, again.context).get("/version")
    again.stop()
    assert not again.kubeconfig.exists()
    assert kind_cluster.nodes.all()


def test_an_image_is_loaded_into_every_node(kind_cluster: KindCluster, api: Api, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    content = Layer({"bin/busybox": Path("/bin/busybox")})
    image = Image((LOADED,), (content,), entrypoint=("/bin/busybox",), command=("sleep", "600"), user="1000:1000")
    write_archive(archive, [image], architecture())

    kind_cluster.load_images([archive])

    for node in kind_cluster.nodes.kubernetes():
        assert LOADED in kind_cluster.nodes.exec(node.name, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet")
    run_pod(api, pod("loaded", LOADED))


def test_an_image_archive_that_is_none(kind_cluster: KindCluster, tmp_path: Path) -> None:
    with pytest.raises(KindError, match="does not exist"):
        kind_cluster.load_images([tmp_path / "none.tar"])
    (tmp_path / "wrong.tar").write_text("no archive")
    with pytest.raises(KindError, match=r"wrong\.tar could not be loaded"):
        kind_cluster.load_images([tmp_path / "wrong.tar"])


@pytest.mark.parametrize(("fault", "cure"), [("pause", "unpause"), ("stop", "start"), ("kill", "start")])
def test_a_fault_of_a_node_is_seen_by_the_api_server(
    kind_cluster: KindCluster, api: Api, worker: str, fault: str, cure: str
) -> None:
    def ready() -> bool:
        return is_ready(api.get(f"/api/v1/nodes/{worker}"))

    getattr(kind_cluster.nodes, fault)(worker)
    try:
        assert kind_cluster.nodes.one(worker).state == ("paused" if fault == "pause" else "exited")
        eventually(lambda: not ready(), f"{worker} is not Ready")
    finally:
        getattr(kind_cluster.nodes, cure)(worker)

    assert kind_cluster.nodes.one(worker).state == "running"
    eventually(ready, f"{worker} is Ready again")


def test_a_node_that_is_none(kind_cluster: KindCluster) -> None:
    with pytest.raises(KindError, match=f"{kind_cluster.name} has no node nobody"):
        kind_cluster.nodes.pause("nobody")


def test_a_command_in_a_node(kind_cluster: KindCluster, worker: str) -> None:
    assert kind_cluster.nodes.exec(worker, "hostname").strip() == worker
    with pytest.raises(ProgramFailed, match="exit status 7") as caught:
        kind_cluster.nodes.exec(worker, "sh", "-c", "echo why >&2; exit 7")
    assert caught.value.output == "why\n"


def test_a_process_of_a_node_is_killed_and_not_its_successor(kind_cluster: KindCluster, worker: str) -> None:
    nodes = kind_cluster.nodes

    def kubelet() -> NodeProcess | None:
        return next((one for one in nodes.processes(worker) if one.command.startswith("/usr/bin/kubelet ")), None)

    first = kubelet()
    assert first is not None
    assert nodes.signal(worker, first, signal.SIGKILL)
    eventually(lambda: kubelet() not in (None, first), "systemd has started another kubelet")

    assert not nodes.signal(worker, first, signal.SIGKILL)
    assert not nodes.signal(worker, NodeProcess(1, first.started, "init"), signal.SIGKILL)
    assert kubelet() is not None


def test_network_policies_are_enforced(api: Api) -> None:
    server = run_pod(api, pod("server", SHELL, "nc", "-ll", "-p", "80", "-e", "true"))
    address = server["status"]["podIP"]
    for name in ("friend", "stranger"):
        run_pod(api, pod(name, SHELL, "sleep", "600", who=name))
    policies = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"

    def connects(name: str) -> bool:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
        asked = ["sh", "-c", f"nc -w 2 {address} 80 </dev/null"]
        return api.execute(path, asked, container="main").exit == 0

    assert connects("friend")
    assert connects("stranger")
    rule = {"from": [{"podSelector": {"matchLabels": {"who": "friend"}}}]}
    api.create(policies, {"metadata": {"name": "friends"}, "spec": {"podSelector": {}, "ingress": [rule]}})
    eventually(lambda: not connects("stranger"), "the stranger is kept out")
    assert connects("friend")
    api.delete(f"{policies}/friends")
    eventually(lambda: connects("stranger"), "the stranger is let in again")


def test_metrics_are_served(api: Api) -> None:
    def measured() -> bool:
        try:
            return len(api.get("/apis/metrics.k8s.io/v1beta1/nodes")["items"]) == 6
        except ApiError:
            return False

    eventually(measured, "metrics-server has measured six nodes")
