"""What no embedded cluster can show: nodes that are machines, and the versions and agents of providers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from fixtures.catalogue import load
from fixtures.policy import Policy
from fixtures.readiness import Decided, Findings
from fixtures.subjects import WholeCluster
from reports.words import Verdict

T = TypeVar("T")
Raw = dict[str, Any]


class Objects:
    """A reader of objects that a test makes up."""

    def __init__(self, version: str, policy: Policy, **kinds: Sequence[Raw]) -> None:
        self.scope = policy
        self._kinds = {name.replace("__", "."): raws for name, raws in kinds.items()}
        self._version = version

    def objects(self, kind: str) -> Sequence[Raw]:
        return self._kinds.get(kind, ())

    def served(self, kind: str) -> bool:
        return kind in self._kinds

    def derive(self, build: Callable[[Any], T]) -> T:
        return build(self)

    def version(self) -> Raw:
        major, minor = self._version.lstrip("v").split(".")[:2]
        return {"major": major, "minor": f"{minor}+", "gitVersion": self._version}


def verdict(property_id: str, reader: Objects) -> tuple[Verdict, str]:
    check = load()[property_id]
    function = getattr(__import__(check.module, fromlist=["_"]), check.function)
    subject = WholeCluster({"kind": "Cluster", "metadata": {"name": "cluster"}})
    findings = Findings(check, subject)
    given = {"cluster": subject, "findings": findings, "inventory": reader, "policy": reader.scope}
    wanted = {name: given[name] for name in function.__code__.co_varnames[: function.__code__.co_argcount]}
    try:
        function(**wanted)
    except Decided as decided:
        return (Verdict.FAIL, "") if findings.failures else (decided.verdict, decided.reason)
    return findings.verdict()


def node(name: str, provider_id: str, ready: str = "True", **labels: str) -> Raw:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", **labels}},
        "spec": {"providerID": provider_id},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


EKS = [node(f"ip-{n}", f"aws:///eu-1a/i-{n}", **{"eks.amazonaws.com/nodegroup": "workers"}) for n in range(3)]
GKE = [node(f"gke-{n}", f"gce://shop/europe-1/{n}", **{"cloud.google.com/gke-nodepool": "workers"}) for n in range(3)]


def provider(name: str) -> Policy:
    return Policy.model_validate({"subjects": {"provider": name}})


@pytest.mark.parametrize(
    ("name", "version", "nodes", "expected"),
    [
        ("eks", "v1.33.1-eks-1a2b3c4", EKS, Verdict.PASS),
        ("eks", "v1.33.1", EKS, Verdict.FAIL),
        ("eks", "v1.33.1-eks-1a2b3c4", [*EKS, node("x", "aws:///eu-1a/x", ready="Unknown")], Verdict.FAIL),
        ("gke", "v1.33.1-gke.1386000", GKE, Verdict.PASS),
        ("gke", "v1.33.1-eks-1a2b3c4", GKE, Verdict.FAIL),
        ("gke", "v1.33.1-gke.1386000", EKS, Verdict.FAIL),
    ],
)
def test_a_managed_cluster_is_told_by_version_and_nodes(
    name: str, version: str, nodes: list[Raw], expected: Verdict
) -> None:
    assert verdict(f"infrastructure.{name}-cluster", Objects(version, provider(name), nodes=nodes))[0] == expected


@pytest.mark.parametrize(
    ("version", "expected"), [("v1.24.0", Verdict.PASS), ("v1.23.17", Verdict.FAIL), ("v2.0.0", Verdict.PASS)]
)
def test_the_version_is_compared_as_numbers(version: str, expected: Verdict) -> None:
    assert verdict("infrastructure.kubernetes-1-24", Objects(version, Policy()))[0] == expected


def test_a_managed_control_plane_is_not_assessed() -> None:
    found = verdict("infrastructure.control-plane-nodes", Objects("v1.33.1", Policy(), nodes=EKS))

    assert found[0] == Verdict.NOT_ASSESSED
    assert "Amazon EKS keeps the control plane out of sight" in found[1]


def agents(name: str, ready: int, given: dict[str, str] | None = None) -> Raw:
    labels = given or {}
    return {
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
        "status": {"numberReady": ready, "desiredNumberScheduled": 3},
    }


CILIUM = {"k8s-app": "cilium"}
POD = {"metadata": {"name": "web", "namespace": "shop"}, "status": {"phase": "Running"}}
ENDPOINT = {"metadata": {"name": "web", "namespace": "shop"}, "status": {"state": "ready"}}


def test_a_healthy_plugin_on_real_nodes_passes() -> None:
    reader = Objects("v1.33.1", Policy(), nodes=EKS, daemonsets__apps=[agents("cilium", 3, CILIUM)])

    assert verdict("network-policy.cni-plugin", reader)[0] == Verdict.PASS


def test_a_fargate_node_needs_no_agent() -> None:
    fargate = node("f", "aws:///eu-1a/f", **{"eks.amazonaws.com/compute-type": "fargate"})
    reader = Objects("v1.33.1", Policy(), nodes=[*EKS, fargate], daemonsets__apps=[agents("cilium", 3, CILIUM)])

    assert verdict("network-policy.cni-plugin", reader)[0] == Verdict.PASS


@pytest.mark.parametrize(
    ("endpoints", "proxy", "expected"),
    [
        ([ENDPOINT], [], Verdict.PASS),
        ([], [], Verdict.FAIL),
        ([ENDPOINT], [agents("kube-proxy", 3)], Verdict.NOT_ASSESSED),
    ],
)
def test_cilium_on_real_nodes(endpoints: list[Raw], proxy: list[Raw], expected: Verdict) -> None:
    kinds = {"daemonsets__apps": [agents("cilium", 3, CILIUM), *proxy], "ciliumendpoints__cilium__io": endpoints}
    reader = Objects("v1.33.1", Policy(), nodes=EKS, pods=[POD], **kinds)

    assert verdict("infrastructure.cilium-ebpf-cni", reader)[0] == expected
