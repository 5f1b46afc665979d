"""A good version that arrives unnoticed, and a bad one that is stopped and taken back, tried out with pods of the run's own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.probe import Probe
from fixtures.lab.states import ask_until, condition, rolled_out
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

APP, REPLICAS, LINGER = "web", 3, "3s"
"""The Deployment; LINGER is how long its pods still serve after SIGTERM, until every node has learned of their end."""
URL = f"http://{APP}:8080/"
USES = ("namespaces", "pods", "pods/exec", "services", "deployments", "deployments:patch")
REVISION = "deployment.kubernetes.io/revision"
BURST = 1.0
"""Seconds of requests, 50 a second."""


@readiness(
    "delivery.rolling-update-loses-no-request", severity="high", needs=("pods", "traffic"), consent="probes", uses=USES
)
def test_rolling_update_loses_no_request(
    cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """A rolling update of a well-made workload loses no request.

    Why: Releases are made in daylight only where they cost nothing. Where a program does its part, what is lost is lost by the
        platform: endpoints that come too early or go too late.
    How: A Deployment of three pods with readiness probes, which serve on for 3 s after SIGTERM, behind a Service. A client asks
        50 times a second, each time over a new connection and whether answers come or not, while the Deployment rolls to a new
        version with maxUnavailable 0. No request may fail, and both versions must have answered. The same load before the
        rollout must not fail either.
    Fix: Compare the times of failures with those of EndpointSlices and of kube-proxy, or of what stands in its place.
    Does not prove: That real workloads have such probes and hooks (workloads.deployment-strategies), nor what becomes of
        connections that are kept open.
    """
    seconds = policy.limit(limits.ROLLOUT_LOAD)
    with lab.place("rolling") as place:
        client = _serving(place, {"maxUnavailable": 0, "maxSurge": REPLICAS})
        old = _names(place)
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(client.load, URL, seconds=seconds, new_connections=True)
            place.patch("deployments", APP, _of_pods(metadata={"annotations": {"version": "two"}}))
            _await_rollout(place)
            within = not load.done()
            sent = load.result().answer
        new = _names(place)
    if not within:
        findings.inconclusive(f"the rollout took longer than the load of {seconds:g} s (delivery.rollout-load)")
    findings.measure("requests", sent["intended"], "requests")
    findings.measure("requests lost", sent["failed"] + sent["not_sent"], "requests", 0)
    if not sent["pods"].keys() & old or not sent["pods"].keys() & new:
        findings.expect(False, "answers", expected="from both versions", observed=list(sent["pods"]))
    findings.expect(
        sent["failed"] + sent["not_sent"] == 0,
        f"{sent['intended']} requests during the rollout",
        expected="all answered",
        observed=f"{sent['failed']} failed, {sent['not_sent']} not sent: {_told(sent)}",
    )


@readiness(
    "delivery.bad-rollout-stops",
    severity="high",
    needs=("pods", "traffic"),
    consent="probes",
    uses=(*USES, "replicasets:list"),
)
def test_bad_rollout_stops(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """A version that never becomes ready stops, is reported, and can be taken back.

    Why: The next bad release is certain. It should cost one pod's worth of capacity and a message, and no outage.
    How: A Deployment of three pods (maxUnavailable 1, maxSurge 1, progressDeadlineSeconds 5) is given a version that never
        becomes ready. The Deployment must report ProgressDeadlineExceeded in time, never fall below two available pods, and
        keep answering through its Service. Then the template of the previous revision, as its ReplicaSet keeps it, is put back:
        the Deployment must be complete again, with the old ReplicaSet, in time.
    Fix: Look at kube-controller-manager (deployment controller), and at what changes Deployments on their way.
    Does not prove: That something takes a bad version back without a person (delivery.automated-rollback): a Deployment never
        does.
    """
    deadline = policy.limit(limits.PROGRESS_DEADLINE)
    bound = deadline + policy.limit(limits.READINESS_SLACK)
    with lab.place("badly") as place:
        strategy = {"maxUnavailable": 1, "maxSurge": 1}
        client = _serving(place, strategy, progressDeadlineSeconds=int(deadline))
        available: list[int] = []

        def stopped(found: dict[str, Any] | None) -> bool | None:
            available.append(int(((found or {}).get("status") or {}).get("availableReplicas") or 0))
            return True if condition(found or {}, "Progressing").get("reason") == "ProgressDeadlineExceeded" else None

        bad = place.spec("serve", "--start-delay", "1h")["containers"]
        place.patch("deployments", APP, _of_pods(spec={"containers": bad}))
        problem = _missed(lambda: place.await_one("deployments", APP, stopped, bound, "ProgressDeadlineExceeded"))
        findings.expect(not problem, "the bad version", expected=f"reported within {bound:g} s", observed=problem)
        floor = REPLICAS - 1
        findings.expect(
            min(available) >= floor, "available pods", expected=f"never below {floor}", observed=f"{min(available)}"
        )
        sent = client.load(URL, seconds=BURST, new_connections=True).answer
        observed = f"{sent['failed']} failed: {_told(sent)}"
        findings.expect(sent["failed"] == 0, "requests to the old version", expected="all answered", observed=observed)
        good, old = _previous(place), _names(place)
        if findings.expect(bool(good), "ReplicaSets", expected="the previous revision", observed="none of revision 1"):
            place.patch("deployments", APP, _of_pods(spec={"containers": good}))
            problem = _missed(lambda: _await_rollout(place))
            kept = f"{len(_names(place) & old)} of the old pods"
            findings.expect(not problem, "the way back", expected="complete", observed=f"{problem}; {kept} are left")


def _serving(place: Place, strategy: dict[str, Any], **more: Any) -> Probe:
    """Start a Deployment behind a Service, and a client that has had answers from all of its pods."""
    spec = place.spec("serve", "--linger", LINGER, terminationGracePeriodSeconds=10)
    more |= {"strategy": {"type": "RollingUpdate", "rollingUpdate": strategy}}
    place.create("deployments", objects.deployment(APP, spec, REPLICAS, **more))
    place.create("services", objects.service(APP))
    client = place.probe("client")
    _await_rollout(place)

    def all_answer() -> bool | None:
        sent = client.load(URL, seconds=BURST, new_connections=True)
        return True if sent.ok and len(sent.answer["pods"]) == REPLICAS else None

    ask_until(all_answer, limits.ROLLOUT_DEADLINE.value, "an answer from each pod before the rollout")
    return client


def _await_rollout(place: Place) -> None:
    def done(found: dict[str, Any] | None) -> bool | None:
        return True if found and rolled_out(found) else None

    place.await_one("deployments", APP, done, limits.ROLLOUT_DEADLINE.value, "a complete rollout")


def _previous(place: Place) -> list[dict[str, Any]]:
    """The containers of the first revision, as its ReplicaSet keeps them; empty where it is not kept."""
    found = place.api.get(place.path("replicasets"))["items"]
    kept = [one for one in found if (one["metadata"].get("annotations") or {}).get(REVISION) == "1"]
    return list(kept[0]["spec"]["template"]["spec"]["containers"]) if kept else []


def _of_pods(**changed: Any) -> dict[str, Any]:
    """A merge patch to a Deployment's template."""
    return {"spec": {"template": changed}}


def _names(place: Place) -> set[str]:
    return {pod["metadata"]["name"] for pod in place.pods_of(APP)}


def _told(sent: dict[str, Any]) -> str:
    return ", ".join(f"{one['count']} {kind}" for kind, one in sorted(sent["failures"].items())) or "none"


def _missed(wait: Any) -> str:
    try:
        wait()
    except Missed as missed:
        return str(missed)
    return ""
