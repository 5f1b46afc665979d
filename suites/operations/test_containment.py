"""A compromised pod can be cut off while it runs, and be looked at afterwards."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

from fixtures.api import ApiError
from fixtures.lab import Place, Workbench, objects
from fixtures.lab.flows import Flow, await_flows, baseline, dns, flow
from fixtures.lab.spread import Post, endpoint, posts
from fixtures.lab.states import ask_until, restarts
from fixtures.limits import PROBE_ANSWER_DEADLINE, QUARANTINE
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, WholeCluster

if TYPE_CHECKING:
    from fixtures.lab.probe import Answer

LABEL = {"kubeworthy-quarantine": "true"}


@readiness(
    "operations.containment-isolation",
    severity="high",
    needs=("pods", "traffic"),
    consent="probes",
    uses=("namespaces", "networkpolicies", "pods", "pods:patch", "pods/exec", "pods/log", "services"),
)
def test_a_quarantined_pod_is_cut_off(
    cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """A label and a policy cut a running pod off, and leave it there to be examined.

    Why: A pod that was broken into has to stop talking at once, and must not be deleted: its memory is the evidence.
    How: A policy that denies all to pods with a quarantine label, and a running pod that is reached by address and by its
        Service, reaches others and has a connection open. The label is set and that of the Service taken away; within
        60 s nothing new comes about in either direction, over TCP and UDP, the open connection is dead, the Service has no
        endpoint, and the pod still runs, with its log readable through the API.
    Fix: Use a plugin that enforces policies, also on connections that exist; where it does not, end them (conntrack -D on
        the node, or a rule of the plugin's own) as a part of the procedure.
    Does not prove: That something sets the label by itself when a pod is compromised, nor an alarm.
    """
    limit = policy.limit(QUARANTINE)
    with lab.place("quarantine", own=True) as place, ThreadPoolExecutor(1) as pool:
        place.create("services", objects.service("suspect"))
        for name in ("suspect", "client"):
            place.create("pods", objects.pod(name, place.spec("serve")))
        suspect, client = posts(place, "suspect", "client")
        flows = _flows(place, suspect, client)
        baseline(findings, flows)
        held = _hold(pool, client, suspect, limit)
        before = place.api.get(place.path("pods", "suspect"))
        place.create("networkpolicies", _deny_all())
        place.patch("pods", "suspect", {"metadata": {"labels": {objects.APP: None, **LABEL}}})
        outcome = await_flows(dict.fromkeys(flows, False), limit)
        for one in flows:
            expected = f"no connection within {limit:g} s of the quarantine"
            findings.expect(one not in outcome.wrong, one, expected=expected, observed="still open")
        if not outcome.wrong:
            findings.measure("cut off after", outcome.seconds, "s", limit)
        _judge_held(findings, held, limit)
        _judge_pod(findings, place, before)


def _hold(pool: ThreadPoolExecutor, client: Post, suspect: Post, seconds: float) -> Future[Answer]:
    """A connection that is kept busy for so long, once it is seen to be open. Raises Missed."""

    def echoes() -> int:
        return int(suspect.probe.requests()["served"].get("tcp", 0))

    before, deadline = echoes(), seconds + PROBE_ANSWER_DEADLINE.value
    words = ("hold", suspect.at("tcp"), "--seconds", f"{seconds:g}")
    held = pool.submit(lambda: client.probe.run(*words, timeout=deadline))
    ask_until(lambda: echoes() > before + 1 or None, PROBE_ANSWER_DEADLINE.value, "an open connection")
    return held


def _flows(place: Place, suspect: Post, client: Post) -> list[Flow]:
    address = str(place.api.get(place.path("services", "suspect"))["spec"]["clusterIP"])
    service = ("tcp", endpoint(address, objects.PORTS["tcp"]), "--echo")
    return [
        *(flow(client, suspect, port) for port in ("tcp", "udp")),
        *(flow(suspect, client, port) for port in ("tcp", "udp")),
        Flow("client to the Service of suspect", client, service),
        dns(suspect),
    ]


def _deny_all() -> dict[str, object]:
    spec = {"podSelector": {"matchLabels": LABEL}, "policyTypes": ["Ingress", "Egress"]}
    return objects.named("quarantine", spec=spec)


def _judge_held(findings: Findings, held: Future[Answer], limit: float) -> None:
    answer = held.result()
    if not isinstance(answer.answer, dict) or not answer.answer["echoes"]:
        findings.inconclusive(f"no connection was open before the quarantine: {answer}")
    seconds = _between(answer.answer["opened"], answer.answer["last"])
    findings.measure("echoes of the open connection until", seconds, "s", limit)
    findings.expect(
        not answer.ok,
        "the connection that was open",
        expected=f"no echo at the end of {limit:g} s",
        observed=f"{answer.answer['echoes']} echoes, and still open",
    )


def _between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def _judge_pod(findings: Findings, place: Place, before: Raw) -> None:
    after = place.api.get(place.path("pods", "suspect"))
    runs = after["status"].get("phase") == "Running" and "deletionTimestamp" not in after["metadata"]
    same = after["metadata"]["uid"] == before["metadata"]["uid"] and not restarts(after)
    findings.expect(runs and same, "suspect", expected="the same pod still runs", observed="gone or restarted")
    try:
        said = "" if place.api.text(f"{place.path('pods', 'suspect')}/log") else "empty"
    except ApiError as error:
        said = str(error)
    findings.expect(not said, "the log of suspect", expected="can be read through the API", observed=said)
