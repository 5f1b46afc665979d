"""What the kubelet does with containers that eat, hang and crash, tried out with pods of the run's own."""

from __future__ import annotations

import time
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.place import is_ready
from fixtures.lab.states import ended, restarts
from fixtures.lab.waiting import Objects
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

KILLED = 137
"""The exit code of a process that SIGKILL ended."""
PERIOD, THRESHOLD, CODE = 1, 3, 3
"""Of the liveness probe, in seconds and tries; and the exit code of the pod that crashes."""


@readiness(
    "workloads.memory-limit-in-force",
    severity="high",
    needs=("pods",),
    consent="probes",
    uses=("namespaces", "pods"),
)
def test_memory_limit_is_in_force(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """A container that outgrows its memory limit is killed, and nothing beside it.

    Why: A limit that does not act lets one leak take the memory of a whole node, and with it pods that did nothing wrong.
    How: Two pods with the same limit on one node: one takes a quarter of it and has to succeed, one takes two and a half
        times as much and has to be killed by SIGKILL (exit code 137). A third pod beside them must not be restarted, and
        be ready afterwards.
    Fix: Look for a container runtime without the memory controller (cgroup v2: memory in cgroup.controllers of kubepods), and
        for what takes limits away from pods on their way.
    Does not prove: What the kubelet evicts when the node itself runs out of memory.
    """
    eaten = policy.limit(limits.MEMORY_EATEN)
    with lab.place("memory") as place:
        place.probe("neighbour")
        node = place.api.get(place.path("pods", "neighbour"))["spec"]["nodeName"]
        for name, amount in (("modest", 16), ("greedy", int(eaten))):
            spec = place.spec("eat", str(amount), "--seconds", "2", node=node, restartPolicy="Never")
            place.create("pods", objects.pod(name, spec))
        neighbours: list[int] = []

        def both_ended(pods: Objects) -> Objects | None:
            neighbours.append(restarts(pods["neighbour"]) if "neighbour" in pods else -1)
            return pods if all(ended(pods.get(name, {})) for name in ("modest", "greedy")) else None

        pods = place.await_all("pods", both_ended, "the end of both eaters", limits.LAB_POD_DEADLINE.value)
        place.ready("neighbour")
    modest, greedy = ended(pods["modest"]), ended(pods["greedy"])
    if modest["exitCode"] != 0:
        findings.inconclusive(f"the pod that stays below its limit ended, too: {_told(modest)}")
    findings.expect(
        greedy["exitCode"] == KILLED,
        f"a container that takes {eaten:g} MiB where 64 are allowed",
        expected=f"killed, exit code {KILLED}",
        observed=_told(greedy),
    )
    findings.expect(
        set(neighbours) == {0}, "the pod beside it", expected="no restart", observed=f"{max(neighbours)} restarts"
    )


@readiness(
    "workloads.failed-containers-restarted",
    severity="high",
    needs=("pods",),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_failed_containers_are_restarted(
    cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """A container that hangs or crashes is restarted in place, in time.

    Why: Restarting is the first and fastest repair that there is, and every liveness probe relies on it.
    How: One pod's liveness probe (each second, three tries) begins to fail; it must be restarted and ready again within
        period times threshold and a slack. Another pod crashes with a known exit code; it must be restarted, and its status
        must tell that code.
    Fix: Look at the kubelet's log of the node (journalctl -u kubelet) and at the pod's events.
    Does not prove: That workloads have liveness probes (workloads.liveness-probe-timing), or that those notice a hang.
    """
    bound = PERIOD * THRESHOLD + policy.limit(limits.RESTART_SLACK)
    with lab.place("restarts") as place:
        place.create("pods", objects.pod("hangs", place.spec(container={"livenessProbe": _liveness()})))
        place.create("pods", objects.pod("crashes", place.spec("crash", "--after", "1s", "--code", str(CODE))))
        [hanging] = place.ready("hangs")
        hanging.control(live=False)
        began = time.monotonic()
        for name, seen, what in (("hangs", _back, "hangs"), ("crashes", _again, f"crashes with exit code {CODE}")):
            _expect_restart(findings, place, name, seen, what, bound)
            if name == "hangs":
                findings.measure("hang to ready again", time.monotonic() - began, "s", bound)


def _expect_restart(findings: Findings, place: Place, name: str, seen: Any, what: str, bound: float) -> None:
    observed = "restarted"
    try:
        place.await_one("pods", name, seen, bound, "a restart")
    except Missed as missed:
        observed = str(missed)
    findings.expect(
        observed == "restarted", f"a container that {what}", expected=f"restarted within {bound:g} s", observed=observed
    )


def _liveness() -> dict[str, Any]:
    get = {"path": "/healthz", "port": "http"}
    return {"httpGet": get, "periodSeconds": PERIOD, "failureThreshold": THRESHOLD, "timeoutSeconds": 1}


def _back(pod: dict[str, Any] | None) -> bool | None:
    return True if pod and is_ready(pod) and restarts(pod) >= 1 else None


def _again(pod: dict[str, Any] | None) -> bool | None:
    return True if pod and restarts(pod) >= 1 and ended(pod).get("exitCode") == CODE else None


def _told(end: dict[str, Any]) -> str:
    return f"{end.get('reason', '')}, exit code {end['exitCode']}"
