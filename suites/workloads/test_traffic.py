"""Which pods a Service sends requests to while they become unready, and how a pod that is deleted ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.probe import Probe
from fixtures.lab.states import ask_until, endpoints
from fixtures.lab.waiting import await_gone, await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

APP = "web"
USES = ("namespaces", "pods", "pods/exec", "services", "endpointslices:list", "endpointslices:watch")
BURST = 1.0
"""Seconds of requests, 50 a second, after which it is known which pods a Service reaches."""
GRACE, IN_FLIGHT = 15, 4
"""Seconds that a pod is given to end, and that a request takes which is under way when the end begins."""
ORDER = ("prestop", "SIGTERM", "stopping", "stopped")
"""What a pod that ends in peace logs, in this order."""


@readiness(
    "workloads.unready-pods-get-no-traffic", severity="high", needs=("pods", "traffic"), consent="probes", uses=USES
)
def test_unready_pods_get_no_traffic(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """A pod that says it is not ready gets no requests until it is ready again.

    Why: Rollouts, restarts and overload protection all rest on it: without it each of them is an outage for some users.
    How: A pod asks a Service with two pods behind it until both have answered. One begins to fail its readiness probe
        (each second, three tries); within those and a slack its endpoint must be gone and 50 requests in a row be answered by
        the other, none failing. Ready again, it must be asked again within the same time.
    Fix: Look at the EndpointSlices of the Service, at kube-controller-manager (endpointslice-controller), and at kube-proxy
        or what stands in its place on the node of the client.
    Does not prove: That the readiness probes of workloads tell the truth, or that connections which are open are ended.
    """
    bound = 3 + policy.limit(limits.READINESS_SLACK)
    with lab.place("readiness") as place:
        for name in ("first", "second"):
            place.create("pods", objects.pod(name, place.spec(), {objects.APP: APP}))
        place.create("services", objects.service(APP))
        place.create("pods", objects.pod("client", place.spec()))
        first, _, client = place.ready("first", "second", "client")
        if problem := _not_answered_by({"first", "second"}, place, client, bound):
            findings.inconclusive(f"both pods are ready, and do not both answer: {problem}")
        for ready, names in ((False, {"second"}), (True, {"first", "second"})):
            first.control(ready=ready)
            began = time.monotonic()
            problem = _not_answered_by(names, place, client, bound)
            what = "ready again" if ready else "unready"
            findings.expect(
                not problem, f"requests once a pod is {what}", expected=f"answered by {_list(names)}", observed=problem
            )
            findings.measure(f"until requests follow a pod that is {what}", time.monotonic() - began, "s", bound)


def _not_answered_by(names: set[str], place: Place, client: Probe, seconds: float) -> str:
    """What is wrong after so many seconds, "" as soon as a whole burst was answered by all of `names` and nobody else."""
    last = ""

    def burst() -> bool | None:
        nonlocal last
        sent = client.load(f"http://{APP}:8080/", seconds=BURST, new_connections=True)
        last = f"{_list(sent.answer['pods'])} answered, {sent.answer['failed']} failed"
        return True if sent.ok and set(sent.answer["pods"]) == names else None

    try:
        slices = place.path("endpointslices")
        await_state(
            place.api, slices, {}, lambda found: endpoints(found, APP) == names or None, seconds, "the endpoints"
        )
        ask_until(burst, seconds, "the answers")
    except Missed as missed:
        return last or str(missed)
    return ""


@readiness(
    "workloads.graceful-termination",
    severity="high",
    needs=("pods", "traffic"),
    consent="probes",
    uses=(*USES, "pods/log"),
)
def test_pods_end_in_peace(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """A pod that is deleted is told so, loses its traffic, and may finish its work.

    Why: Pods are deleted all day, by rollouts, drains and autoscalers. Where the order of their end does not hold, each of these
        cuts off requests that are under way.
    How: A pod behind a Service, with a preStop hook and 15 s of grace, is deleted while a request of 4 s is under way. Its
        endpoint must be gone before that request ends; the request must be answered; the pod's own log must show the preStop
        hook, then SIGTERM, then an end by itself; and the pod must be gone within its grace.
    Fix: Find what shortens terminationGracePeriodSeconds or removes hooks on the way, or who deletes pods by force.
    Does not prove: That workloads heed SIGTERM; this pod does.
    """
    with lab.place("end") as place:
        spec = place.spec(terminationGracePeriodSeconds=GRACE)
        spec["containers"][0]["lifecycle"] = {"preStop": {"httpGet": {"path": "/prestop", "port": "http"}}}
        place.create("pods", objects.pod(APP, spec))
        place.create("services", objects.service(APP))
        client = place.probe("client")
        [server] = place.ready(APP)
        slices = place.path("endpointslices")
        listed = {APP}
        await_state(place.api, slices, {}, lambda found: endpoints(found, APP) == listed or None, GRACE, "the endpoint")
        address = place.api.get(place.path("pods", APP))["status"]["podIP"]
        with ThreadPoolExecutor(2) as pool:
            log = pool.submit(place.log, APP, float(2 * GRACE), follow=True)
            asked = pool.submit(client.http, _url(address), timeout=float(GRACE))
            ask_until(lambda: server.requests()["in_flight"] > 0 or None, IN_FLIGHT, "the request under way")
            began = time.monotonic()
            place.delete("pods", APP)
            problem = _missed(lambda: await_state(place.api, slices, {}, _unlisted, GRACE, "the end of the endpoint"))
            early = not asked.done()
            answer = asked.result()
            slow = _missed(lambda: await_gone(place.api, place.path("pods", APP), GRACE))
            took = time.monotonic() - began
            lines = log.result()
    findings.expect(
        early and not problem,
        "the endpoint",
        expected="gone while the request is under way",
        observed=problem or "later",
    )
    findings.expect(answer.ok, "the request under way", expected="answered", observed=answer)
    findings.expect(
        _events(lines) == ORDER, "the pod's log", expected=_list(ORDER, ""), observed=_list(_events(lines), "")
    )
    findings.expect(not slow, "the pod", expected=f"gone within {GRACE} s", observed=slow)
    findings.measure("deletion to the pod's end", took, "s", GRACE)


def _url(address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:8080/?delay={IN_FLIGHT}s"


def _unlisted(slices: Any) -> bool | None:
    return True if not endpoints(slices, APP) else None


def _missed(wait: Any) -> str:
    try:
        wait()
    except Missed as missed:
        return str(missed)
    return ""


def _events(lines: Iterable[str]) -> tuple[str, ...]:
    told = [json.loads(line) for line in lines if line.startswith("{")]
    words = [one.get("signal") or one["event"] for one in told]
    return tuple(word for word in words if word in ORDER)


def _list(names: Iterable[str], nobody: str = "nobody") -> str:
    return ", ".join(names if isinstance(names, tuple) else sorted(names)) or nobody
