"""Whether what is lost is replaced without help, tried out with pods of the run's own."""

from __future__ import annotations

import time
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.states import ready_names
from fixtures.lab.waiting import Objects, await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

CONTROLLERS = {"web": "deployments", "db": "statefulsets", "agent": "daemonsets"}
"""The app of each controller, and its kind."""


@readiness(
    "operations.self-healing",
    severity="high",
    needs=("pods",),
    consent="probes",
    uses=("namespaces", "pods", *CONTROLLERS.values()),
)
def test_lost_pods_are_replaced(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """Pods that are lost are replaced without help, whatever their controller.

    Why: A platform that heals itself lets people sleep; what is not replaced stays lost until somebody looks.
    How: A Deployment, a StatefulSet and a DaemonSet (on one node) of one pod each. Once all are ready, all three pods are deleted
        at once, without grace; for each, another pod of the same controller must be ready within 120 s.
    Fix: Look at kube-controller-manager and kube-scheduler, and at quotas or admission that refuse the new pods.
    Does not prove: That lost nodes are replaced: no node is touched.
    """
    bound = policy.limit(limits.REPLACEMENT)
    with lab.place("healing") as place:
        lost = _started(place)
        began = time.monotonic()
        for name, _ in lost:
            place.delete("pods", name, gracePeriodSeconds=0)
        for app, resource in CONTROLLERS.items():
            problem = _not_replaced(place, app, lost, bound - (time.monotonic() - began))
            took = time.monotonic() - began
            ok = not problem and took <= bound
            findings.expect(
                ok,
                f"the pod of {resource}/{app}",
                expected=f"replaced within {bound:g} s",
                observed=problem or f"{took:.1f} s",
            )
            findings.measure(f"{resource}: deletion to the next ready pod", took, "s", bound)


def _started(place: Place) -> set[tuple[str, str]]:
    """Make the three controllers, and wait for their pods; the name and uid of each."""
    seconds = limits.LAB_POD_DEADLINE.value
    place.create("deployments", objects.deployment("web", place.spec(), 1))
    place.create("statefulsets", objects.deployment("db", place.spec(), 1, serviceName="db"))
    one = place.await_all("pods", lambda pods: _ready(pods, "web"), "a ready pod", seconds)
    node = place.api.get(place.path("pods", min(one)[0]))["spec"]["nodeName"]
    place.create("daemonsets", _agent(place.spec(node=node)))
    lost: set[tuple[str, str]] = set()
    for app in CONTROLLERS:
        lost |= place.await_all("pods", lambda pods, app=app: _ready(pods, app), f"a ready pod of {app}", seconds)
    return lost


def _agent(spec: dict[str, Any]) -> dict[str, Any]:
    made = objects.deployment("agent", spec, 1)
    del made["spec"]["replicas"]
    return made


def _ready(pods: Objects, app: str) -> set[tuple[str, str]] | None:
    return {(name, pods[name]["metadata"]["uid"]) for name in ready_names(pods, app)} or None


def _not_replaced(place: Place, app: str, lost: set[tuple[str, str]], seconds: float) -> str:
    """What is missing after so many seconds, "" once a pod of an app is ready that is none of the lost.

    The next pod of a StatefulSet has the name of the one before; its uid tells them apart.
    """

    def replaced(pods: Objects) -> bool | None:
        return True if (_ready(pods, app) or set()) - lost else None

    try:
        await_state(place.api, place.path("pods"), {}, replaced, max(0.0, seconds), "a replacement")
    except Missed as missed:
        return str(missed)
    return ""
