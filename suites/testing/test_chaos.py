"""Faults on purpose in a service of the run's own, with its users watching."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.probe import Probe
from fixtures.lab.states import ask_until, ready_names
from fixtures.lab.waiting import Objects, await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

APP, REPLICAS = "web", 3
URL = f"http://{APP}:8080/"
BURST = 1.0
"""Seconds of requests, 50 a second."""


@readiness(
    "testing.chaos-kill-pods",
    severity="high",
    needs=("pods", "traffic"),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec", "services", "deployments"),
)
def test_service_survives_the_kill_of_a_pod(
    cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """A replicated service survives the kill of a pod that is chosen at random.

    Why: A pod dies some day, without a warning. Three replicas are worth their price only where users do not notice.
    How: A Deployment of three pods behind a Service is asked 50 times a second for 10 s, each time over a new connection and
        whether answers come or not. Meanwhile one pod, chosen at random, is deleted without grace. Of all requests at most 5 %
        may fail, all must be answered again at the end, and three pods must be ready within 120 s. The same load before the kill
        must not fail at all.
    Fix: Look at how long EndpointSlices and kube-proxy, or what stands in its place, take to forget a pod.
    Does not prove: That real services survive: their replicas, probes and budgets are judged by other properties.
    """
    seconds, bound = policy.limit(limits.CHAOS_LOAD), policy.limit(limits.REPLACEMENT)
    with lab.place("kill") as place:
        client = _steady(place)
        before = sorted(pod["metadata"]["name"] for pod in place.pods_of(APP))
        watched = lab.probe(place.name, before[0])
        count = _served(watched)
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(client.load, URL, seconds=seconds, new_connections=True)
            ask_until(lambda: _served(watched) > count or None, seconds, "requests under way")
            victim = random.choice(before)
            began = time.monotonic()
            place.delete("pods", victim, gracePeriodSeconds=0)
            problem = _not_back(place, victim, bound)
            took = time.monotonic() - began
            within = not load.done()
            sent = load.result().answer
        after = client.load(URL, seconds=BURST, new_connections=True).answer
    if not within and not problem:
        findings.inconclusive(f"the pod was replaced only after the load of {seconds:g} s (testing.chaos-load)")
    _judge(findings, sent, policy.limit(limits.CHAOS_ERRORS))
    failed = after["failed"] + after["not_sent"]
    findings.expect(not failed, "requests afterwards", expected="all answered", observed=f"{failed} failed")
    findings.expect(not problem, f"the pod {victim}", expected=f"replaced within {bound:g} s", observed=problem)
    findings.measure("kill to three ready pods", took, "s", bound)


def _judge(findings: Findings, sent: dict[str, Any], most: float) -> None:
    share = (sent["failed"] + sent["not_sent"]) / sent["intended"]
    told = ", ".join(f"{one['count']} {kind}" for kind, one in sorted(sent["failures"].items()))
    findings.measure("requests that failed", share, "", most)
    findings.measure("longest outage", max((one["last"] - one["first"] for one in sent["windows"]), default=0.0), "s")
    findings.expect(
        share <= most, "requests during the kill", expected=f"at most {most:.0%} fail", observed=f"{share:.1%} ({told})"
    )


def _steady(place: Place) -> Probe:
    """Start the service, and a client that has had answers from all of its pods and no failure."""
    place.create("deployments", objects.deployment(APP, place.spec(), REPLICAS))
    place.create("services", objects.service(APP))
    client = place.probe("client")

    def all_answer() -> bool | None:
        sent = client.load(URL, seconds=BURST, new_connections=True)
        return True if sent.ok and len(sent.answer["pods"]) == REPLICAS else None

    ask_until(all_answer, limits.ROLLOUT_DEADLINE.value, "an answer from each pod before the kill")
    return client


def _served(probe: Probe) -> int:
    return int(probe.requests()["served"].get("/", 0))


def _not_back(place: Place, victim: str, seconds: float) -> str:
    def back(pods: Objects) -> bool | None:
        return True if len(ready_names(pods, APP) - {victim}) == REPLICAS else None

    try:
        await_state(place.api, place.path("pods"), {}, back, seconds, "three ready pods")
    except Missed as missed:
        return str(missed)
    return ""
