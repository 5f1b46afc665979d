"""High availability is judged by what can be seen: a provider's control plane, a manifest without nodes, zones with workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fixtures.policy import Policy
from fixtures.readiness import Decided, Findings
from fixtures.subjects import Replicated, WholeCluster
from reports.words import Verdict
from suites.high_availability import test_replicas as suite
from tests.readers import Objects

Raw = dict[str, Any]


class Seen(Objects):
    """A reader over nodes and EndpointSlices."""

    def __init__(self, nodes: Sequence[Raw] = (), addresses: Sequence[str] = ()) -> None:
        labels = {"kubernetes.io/service-name": "kubernetes"}
        slices = {"metadata": {"namespace": "default", "name": "kubernetes", "labels": labels}}
        endpoints = [{"addresses": [one]} for one in addresses]
        super().__init__({"nodes": nodes, suite.SLICES: [{**slices, "endpoints": endpoints}]})


def node(name: str, zone: str, *, ready: bool = True, plane: bool = False) -> Raw:
    labels = {"node-role.kubernetes.io/control-plane": ""} if plane else {}
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone, **labels}}, "status": status}


def pod(node_name: str) -> Raw:
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "kind": "Pod",
        "metadata": {"name": node_name},
        "spec": {"nodeName": node_name},
        "status": {"phase": "Running", "conditions": conditions},
    }


def judged(check: Callable[..., None], subject: Any, seen: Seen, **more: Any) -> tuple[Verdict, list[str]]:
    noun = "cluster" if isinstance(subject, WholeCluster) else "replicated"
    findings = Findings(check.readiness, subject)  # type: ignore[attr-defined]
    try:
        check(**{noun: subject, "findings": findings, "inventory": seen, **more})
    except Decided as decided:
        return decided.verdict, [decided.reason]
    return findings.verdict()[0], [one.at for one in findings.failures]


def web(replicas: int, *nodes: str) -> Replicated:
    raw = {"kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"}, "spec": {"replicas": replicas}}
    return Replicated(raw, tuple(pod(name) for name in nodes), None)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen([node("worker", "a")], ["10.0.0.1"]), Verdict.NOT_ASSESSED),
        (Seen([node("worker", "a")], ["10.0.0.1", "10.0.0.2"]), Verdict.PASS),
        (Seen([node("plane", "a", plane=True)], ["10.0.0.1"]), Verdict.FAIL),
        (Seen([node("plane", "a", plane=True)], ["10.0.0.1", "10.0.0.1"]), Verdict.FAIL),
        (Seen([node("plane", "a", plane=True)], ["10.0.0.1", "10.0.0.2"]), Verdict.PASS),
    ],
)
def test_a_hidden_control_plane_is_not_judged_by_its_one_address(seen: Seen, verdict: Verdict) -> None:
    cluster = WholeCluster({"kind": "Cluster", "metadata": {"name": "cluster"}})

    assert judged(suite.test_more_than_one_api_server_answers, cluster, seen)[0] is verdict


def test_manifests_without_nodes_say_nothing_about_places() -> None:
    assert (
        judged(suite.test_workloads_outlive_a_pod_a_node_and_a_zone, web(2), Seen(), policy=Policy())[0]
        is Verdict.NOT_ASSESSED
    )


@pytest.mark.parametrize(
    ("second", "zones"),
    [
        (node("two", "b"), {"a", "b"}),
        (node("two", ""), {"a"}),
        (node("two", "b", ready=False), {"a"}),
        (node("two", "b", plane=True), {"a"}),
    ],
)
def test_a_zone_counts_where_a_worker_is_ready(second: Raw, zones: set[str]) -> None:
    assert suite.worker_zones(Seen([node("one", "a"), second])) == zones


@pytest.mark.parametrize(
    ("zones", "failing"),
    [(("a", "a", "b"), ["zones of the Ready pods"]), (("a", "b", "b"), []), (("a", "a", "a"), [])],
)
def test_pods_are_spread_over_the_zones_that_there_are(zones: tuple[str, ...], failing: list[str]) -> None:
    seen = Seen([node(f"node-{number}", zone) for number, zone in enumerate(zones)])

    check = suite.test_workloads_outlive_a_pod_a_node_and_a_zone
    assert judged(check, web(2, "node-0", "node-1"), seen, policy=Policy())[1] == failing
