"""Requests, limits and quality of service, as the API server works them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from fixtures.resources import Defaults, limit_range_defaults, qos_class, qos_classes, requests_and_limits
from fixtures.subjects import Raw, Reader, Workload

BOTH = {"cpu": "1", "memory": "1Gi"}


class Ranges:
    """The one method of a reader that LimitRanges are read with."""

    def __init__(self, *raws: Raw) -> None:
        self.raws = raws

    def objects(self, kind: str) -> Sequence[Raw]:
        assert kind == "limitranges"
        return self.raws


def defaults_of(*raws: Raw) -> Defaults:
    return limit_range_defaults(cast("Reader", Ranges(*raws)))["shop"]


def limit_range(name: str, *items: Raw) -> Raw:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"limits": list(items)}}


def resources(requests: Raw | None = None, limits: Raw | None = None) -> Raw:
    return {"name": "one", "resources": {"requests": requests or {}, "limits": limits or {}}}


def test_defaults_of_a_limit_range() -> None:
    item = {"type": "Container", "default": {"cpu": "2"}, "max": {"memory": "4Gi"}, "defaultRequest": {"cpu": "1"}}
    found = defaults_of(limit_range("a", {"type": "Pod", "max": {"cpu": "9"}}, item))

    assert found.limits == {"cpu": "2", "memory": "4Gi"}
    assert found.requests == {"cpu": "1", "memory": "4Gi"}


def test_of_two_limit_ranges_the_first_by_name_wins() -> None:
    later = limit_range("b", {"type": "Container", "default": {"cpu": "9", "memory": "9Gi"}})
    first = limit_range("a", {"type": "Container", "default": {"cpu": "2"}})

    assert defaults_of(later, first).limits == {"cpu": "2", "memory": "9Gi"}


def test_what_a_container_says_wins_over_defaults_and_a_limit_is_a_request() -> None:
    defaults = Defaults({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "2Gi"})
    requests, limits = requests_and_limits(resources({"memory": "3Gi"}, {"cpu": "4"}), defaults)

    assert requests == {"cpu": "4", "memory": "3Gi"}
    assert limits == {"cpu": "4", "memory": "2Gi"}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"containers": [resources()]}, "BestEffort"),
        ({"containers": [resources({"cpu": "0"})]}, "BestEffort"),
        ({"containers": [resources({"ephemeral-storage": "1Gi"})]}, "BestEffort"),
        ({"containers": [resources({"cpu": "1"})]}, "Burstable"),
        ({"containers": [resources(limits={"cpu": "1"})]}, "Burstable"),
        ({"containers": [resources(limits=BOTH)]}, "Guaranteed"),
        ({"containers": [resources({"cpu": "1000m"}, BOTH)]}, "Guaranteed"),
        ({"containers": [resources({"cpu": "999m"}, BOTH)]}, "Burstable"),
        ({"containers": [resources(limits=BOTH), resources()]}, "Burstable"),
        ({"containers": [resources(limits=BOTH)], "initContainers": [resources()]}, "Burstable"),
        ({"containers": [resources()], "resources": {"limits": BOTH}}, "Guaranteed"),
        ({"containers": [resources(limits=BOTH)], "resources": {"requests": {"cpu": "1"}}}, "Burstable"),
    ],
)
def test_class_of_a_pod(pod: dict[str, Any], expected: str) -> None:
    assert qos_class(pod) == expected


def test_live_pods_are_believed_and_ended_ones_forgotten() -> None:
    def pod(name: str, quality: str, phase: str = "Running") -> Raw:
        return {"metadata": {"name": name}, "spec": {}, "status": {"qosClass": quality, "phase": phase}}

    template = {"spec": {"containers": [resources()]}}
    pods = [pod("a", "Burstable"), pod("b", "Guaranteed", "Succeeded"), pod("c", "Burstable")]
    workload = Workload({"kind": "Job", "metadata": {"namespace": "shop"}, "spec": {"template": template}}, pods)

    assert qos_classes(workload, {}) == {"Burstable": ["a", "c"]}
    assert qos_classes(Workload(workload.raw), {"shop": Defaults({"cpu": "1"})}) == {"Burstable": [""]}
