"""The pod network carries traffic between all nodes, in both directions, whole packets included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fixtures.api import ApiError
from fixtures.lab import Workbench
from fixtures.lab.spread import Post, Question, ask, each, endpoint, posted, usable
from fixtures.limits import NETWORK_TRIES
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, WholeCluster

DATAGRAM, STREAM = 1400, 65_536
"""Bytes of the two payloads of the requirement: below the least common MTU of an overlay, and far above any."""


@readiness(
    "infrastructure.node-network-connectivity",
    severity="critical",
    needs=("pods", "traffic"),
    reads=("nodes", "services"),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec", "pods/log"),
)
def test_pods_reach_each_other_on_all_nodes(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench
) -> None:
    """Pods on every node reach pods on every other node, whole packets included.

    Why: One lost route or blocked overlay port makes a part of all calls fail, depending on where the scheduler put the
        two ends; a wrong MTU lets small packets through and swallows large ones.
    How: A pod on every ready Linux node, control plane included. Each connects to each other by address: a TCP echo, 64 KiB
        over TCP, a UDP datagram of 1400 bytes, each in up to three tries; and to the Service of the API server. The API
        server reads each pod's log through the kubelet.
    Fix: Open the overlay's or the routing ports of the network plugin and 10250/TCP between the nodes that are named, and
        set the plugin's MTU below that of the network under it.
    Does not prove: Throughput, and IPv6 of a dual-stack cluster. Of more than 50 nodes a random sample of 50 is tried.
    """
    names, unready = usable(inventory.objects("nodes"))
    if len(names) < 2:
        if unready:
            findings.not_assessed(f"fewer than two Linux nodes are Ready; NotReady: {', '.join(unready)}")
        findings.not_applicable(f"{len(names)} Linux node: there is no other to reach")
    server = api_address(inventory.objects("services"))
    with lab.place("connectivity", standard="restricted", pods=len(names)) as place:
        everywhere = posted(place, names)
        failed = _failed(everywhere, server)
        for post in everywhere:
            for other in everywhere:
                if post is not other:
                    problems = failed.get((post.node, other.node), [])
                    at = f"{post.node} to {other.node}"
                    findings.expect(
                        not problems, at, expected="TCP, UDP and 64 KiB arrive", observed="; ".join(problems)
                    )
            problems = failed.get((post.node, ""), [])
            at = f"{post.node} to the API server's Service, {server}"
            findings.expect(not problems, at, expected="a connection", observed="; ".join(problems))
            said = _log_problem(lab, post)
            findings.expect(
                not said, f"API server to the kubelet of {post.node}", expected="the log of a pod", observed=said
            )
    findings.measure("nodes", len(names), "nodes")
    if unready:
        findings.not_assessed(f"not tried, because NotReady: {', '.join(unready)}")


def api_address(services: Sequence[Raw]) -> str:
    """The address and port of default/kubernetes, "" where there is none."""
    for raw in services:
        if (raw["metadata"].get("namespace"), raw["metadata"]["name"]) == ("default", "kubernetes"):
            return endpoint(str(raw["spec"]["clusterIP"]), int(raw["spec"]["ports"][0]["port"]))
    return ""


def _failed(everywhere: Sequence[Post], server: str) -> dict[tuple[str, str], list[str]]:
    """What failed in every try, by the two nodes; the other node is "" for the API server."""
    wanted = {post.node: _questions(post, everywhere, server) for post in everywhere}
    for _ in range(int(NETWORK_TRIES.value)):
        left = each(everywhere, partial(_still, wanted))
        wanted = {post.node: some for post, some in zip(everywhere, left, strict=True)}
        if not any(wanted.values()):
            break
    found: dict[tuple[str, str], list[str]] = {}
    for node, questions in wanted.items():
        for (other, what), (_, said) in questions.items():
            found.setdefault((node, other), []).append(f"{what}: {said}")
    return found


Open = Mapping[tuple[str, str], tuple[Question, str]]
"""Questions still without a success, by the other node and what they try, with what was seen last."""


def _questions(post: Post, everywhere: Sequence[Post], server: str) -> Open:
    found: dict[tuple[str, str], tuple[Question, str]] = {}
    for other in everywhere:
        if other is not post:
            found[other.node, "TCP"] = ("tcp", other.at("tcp"), "--echo"), ""
            found[other.node, "64 KiB over TCP"] = ("tcp", other.at("tcp"), "--payload", str(STREAM)), ""
            found[other.node, "UDP of 1400 bytes"] = ("udp", other.at("udp"), "--payload", str(DATAGRAM)), ""
    if server:
        found["", "TCP"] = ("tcp", server), ""
    return found


def _still(wanted: Mapping[str, Open], post: Post) -> Open:
    questions = wanted[post.node]
    answers: Any = ask(post.probe, [question for question, _ in questions.values()])
    return {
        key: (question, str(answer))
        for (key, (question, _)), answer in zip(questions.items(), answers, strict=True)
        if not answer.ok
    }


def _log_problem(lab: Workbench, post: Post) -> str:
    try:
        lab.api.text(f"/api/v1/namespaces/{post.probe.namespace}/pods/{post.probe.pod}/log", {"tailLines": 1})
    except ApiError as error:
        return str(error)
    return ""
