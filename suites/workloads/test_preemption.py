"""Whether priority decides who runs, tried out with pods of the run's own, which nobody else can lose to."""

from __future__ import annotations

import time
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.place import is_ready
from fixtures.lab.states import condition
from fixtures.lab.waiting import Objects, await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, WholeCluster

LOWEST = -2_000_000_000
"""The priority of the pod that has to give way; the other's is one above. No sensible pod is below, so no stranger gives way."""
ROOM = "kubeworthy/room"
"""The label that pods of the run share which cannot be on one node together."""


@readiness(
    "workloads.priority-preempts",
    severity="medium",
    needs=("pods",),
    reads=("pods",),
    consent="probes",
    uses=("namespaces", "pods", "priorityclasses"),
)
def test_priority_preempts(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """A pod of higher priority takes the place of one of lower, and of nobody else.

    Why: Priority classes promise that the important runs when room is short. Nobody finds out whether that holds before it is.
    How: On one node a pod of the lowest priority runs, and beside it one more of the same priority. A pod of the next priority
        that, by pod anti-affinity, cannot be on a node with the first one is created for the same node. The scheduler must
        remove the first (its DisruptionTarget says PreemptionByScheduler), leave the other alone, and let the new pod run. Both
        priorities are lower than that of any other pod, so that no pod but the run's own can be preempted.
    Fix: Look at kube-scheduler's configuration (DefaultPreemption) and at what sets preemptionPolicy: Never on pods.
    Does not prove: That workloads have fitting priorities (workloads.priority-classes), nor preemption for want of CPU or memory.
    """
    lower = [one for one in inventory.objects("pods") if _may_lose(one)]
    if lower:
        findings.not_assessed(f"{len(lower)} pods have a priority of {LOWEST} or less and might be preempted")
    with (
        lab.thing("priorityclasses", _class("low", LOWEST)) as low,
        lab.thing("priorityclasses", _class("high", LOWEST + 1)) as high,
        lab.place("preemption") as place,
    ):
        _settled(place, low["metadata"]["name"])
        node = place.api.get(place.path("pods", "gives-way"))["spec"]["nodeName"]
        spec = _apart(place.spec(node=node, priorityClassName=high["metadata"]["name"]))
        began = time.monotonic()
        place.create("pods", objects.pod("takes-over", spec, {ROOM: "one"}))
        problem, reason = _taken_over(place, policy.limit(limits.ROLLOUT_DEADLINE))
        took = time.monotonic() - began
        stayed = any(is_ready(pod) for pod in place.pods_of("bystander"))
    findings.expect(not problem, "the pod of higher priority", expected="running", observed=problem)
    findings.expect(
        reason == "PreemptionByScheduler",
        "the pod of lower priority",
        expected="PreemptionByScheduler",
        observed=reason,
    )
    findings.expect(stayed, "the pod beside them", expected="left alone", observed="not ready")
    findings.measure("creation to running", took, "s")


def _may_lose(pod: Raw) -> bool:
    """Whether a pod has so low a priority that it might be preempted; those of other runs are as low, and let alone."""
    ours = objects.RUN_LABEL in (pod["metadata"].get("labels") or {})
    return not ours and (pod["spec"].get("priority") or 0) <= LOWEST


def _class(name: str, value: int) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": value, "description": "made by a readiness check, which removes it"}


def _settled(place: Place, low: str) -> None:
    """Start the two pods of the lowest priority, on one node."""
    spec = place.spec(priorityClassName=low, terminationGracePeriodSeconds=5)
    place.create("pods", objects.pod("gives-way", spec, {ROOM: "one"}))
    place.ready("gives-way")
    node = place.api.get(place.path("pods", "gives-way"))["spec"]["nodeName"]
    place.probe("bystander", node=node, priorityClassName=low)


def _apart(spec: dict[str, Any]) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {ROOM: "one"}}, "topologyKey": "kubernetes.io/hostname"}
    spec["affinity"]["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return spec


def _taken_over(place: Place, seconds: float) -> tuple[str, str]:
    """What is missing after so many seconds, "" once the new pod runs; and why the other was removed."""
    reason = ""

    def running(pods: Objects) -> bool | None:
        nonlocal reason
        reason = condition(pods.get("gives-way", {}), "DisruptionTarget").get("reason") or reason
        return True if "takes-over" in pods and is_ready(pods["takes-over"]) else None

    try:
        await_state(place.api, place.path("pods"), {}, running, seconds, "the start of the pod")
    except Missed as missed:
        return str(missed), reason
    return "", reason
