"""Where a DaemonSet's pods belong, by the rules of its controller."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.placement import eligible
from fixtures.subjects import Node

ZONE = {"key": "zone", "operator": "In", "values": ["a", "b"]}
NAMED = {"key": "metadata.name", "operator": "In", "values": ["one"]}
OTHER = {"key": "metadata.name", "operator": "NotIn", "values": ["one"]}


def node(*taints: dict[str, str], **labels: str) -> Node:
    return Node({"metadata": {"name": "one", "labels": labels}, "spec": {"taints": list(taints)}})


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": rule}}


def taint(key: str, effect: str = "NoSchedule", value: str = "") -> dict[str, str]:
    return {"key": key, "effect": effect, "value": value}


def tolerating(**toleration: str) -> dict[str, Any]:
    return {"tolerations": [toleration]}


@pytest.mark.parametrize(
    ("pod", "place", "expected"),
    [
        ({}, node(), True),
        ({"nodeName": "one"}, node(), True),
        ({"nodeName": "two"}, node(), False),
        ({"nodeSelector": {"zone": "a"}}, node(zone="a"), True),
        ({"nodeSelector": {"zone": "a"}}, node(), False),
        (required({"matchExpressions": [ZONE]}), node(zone="b"), True),
        (required({"matchExpressions": [ZONE]}), node(zone="c"), False),
        (required({"matchExpressions": [ZONE]}, {"matchFields": [NAMED]}), node(zone="c"), True),
        (required({"matchExpressions": [ZONE], "matchFields": [OTHER]}), node(zone="a"), False),
        (required({}), node(), False),
        (required({"matchExpressions": [{"key": "cpu", "operator": "Gt", "values": ["3"]}]}), node(cpu="4"), True),
        (required({"matchExpressions": [{"key": "cpu", "operator": "Gt", "values": ["3"]}]}), node(cpu="3"), False),
        (required({"matchExpressions": [{"key": "cpu", "operator": "Lt", "values": ["3"]}]}), node(cpu="2"), True),
        (required({"matchExpressions": [{"key": "cpu", "operator": "Lt", "values": ["3"]}]}), node(cpu="3"), False),
        (required({"matchExpressions": [{"key": "cpu", "operator": "Lt", "values": ["3"]}]}), node(), False),
        (required({"matchExpressions": [{"key": "cpu", "operator": "Gt", "values": ["3"]}]}), node(cpu="1_0"), False),
        ({}, node(taint("gpu")), False),
        ({}, node(taint("gpu", "NoExecute")), False),
        ({}, node(taint("gpu", "PreferNoSchedule")), True),
        ({}, node(taint("node.kubernetes.io/unschedulable")), True),
        ({}, node(taint("node.kubernetes.io/not-ready", "NoExecute")), True),
        ({}, node(taint("node.kubernetes.io/not-ready", "NoSchedule")), False),
        ({}, node(taint("node.kubernetes.io/network-unavailable")), False),
        ({"hostNetwork": True}, node(taint("node.kubernetes.io/network-unavailable")), True),
        (tolerating(operator="Exists"), node(taint("gpu"), taint("disk", "NoExecute")), True),
        (tolerating(operator="Exists", effect="NoSchedule"), node(taint("gpu", "NoExecute")), False),
        (tolerating(key="gpu", operator="Exists"), node(taint("gpu", value="a")), True),
        (tolerating(key="gpu", operator="Exists"), node(taint("disk")), False),
        (tolerating(key="gpu"), node(taint("gpu")), True),
        (tolerating(key="gpu", value="a"), node(taint("gpu", value="b")), False),
        (tolerating(key="load", operator="Gt", value="5"), node(taint("load", value="6")), True),
        (tolerating(key="load", operator="Gt", value="5"), node(taint("load", value="5")), False),
        (tolerating(key="load", operator="Lt", value="5"), node(taint("load", value="4")), True),
        (tolerating(key="load", operator="Unheard", value="5"), node(taint("load", value="5")), False),
    ],
)
def test_eligible(pod: dict[str, Any], place: Node, expected: bool) -> None:
    assert eligible(pod, place) is expected
