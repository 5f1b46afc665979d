"""The cluster's name servers: how many there are, how fast they answer, and what the loss of one costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fixtures.api import ApiError
from fixtures.lab import Workbench
from fixtures.lab.names import often, unanswered
from fixtures.lab.place import is_ready, refused
from fixtures.lab.spread import ask
from fixtures.lab.waiting import Objects, await_state
from fixtures.limits import DNS_BATCH, DNS_LOSS_GAP, DNS_LOSS_WATCHED, DNS_P95, DNS_QUERIES, LAB_POD_DEADLINE
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.selectors import matches, matches_map
from fixtures.subjects import Raw, Reader, WholeCluster

NAMESPACE, SERVICE = "kube-system", "kube-dns"
API_NAME = "kubernetes.default.svc"
_EVERY = 0.05
"""Seconds between two queries while a name server goes away: the resolution of the gap."""


@readiness(
    "dns.cluster-dns",
    severity="critical",
    needs=("pods", "traffic"),
    reads=("services", "pods", "poddisruptionbudgets.policy"),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_cluster_dns_is_redundant_and_fast(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """The cluster's DNS runs twice, on two nodes, with a budget, and answers fast.

    Why: Without name service nothing finds anything; one replica is gone whenever its node is, and a drain of two nodes may
        take both unless a PodDisruptionBudget keeps one.
    How: The ready pods behind the Service kube-system/kube-dns, their nodes and their budget; and 100 look-ups of the API
        server's Service (and of subjects.external_name) from a pod: none may fail, and the 95th percentile is held to
        100 ms.
    Fix: Scale CoreDNS to two or more with anti-affinity and a PodDisruptionBudget; add NodeLocal DNSCache, fix upstreams.
    Does not prove: The share of SERVFAIL over time, which is in CoreDNS's metrics, nor a load of many clients.
    """
    servers = name_servers(inventory)
    if servers is None:
        findings.not_assessed(
            f"there is no Service {NAMESPACE}/{SERVICE} with a selector: the name servers are not known"
        )
    nodes = sorted({str(raw["spec"].get("nodeName")) for raw in servers})
    at = f"Service {NAMESPACE}/{SERVICE}"
    findings.expect(len(servers) > 1, at, expected="two ready pods or more", observed=f"{len(servers)} ready")
    findings.expect(
        len(nodes) > 1, at, expected="pods on two nodes or more", observed=f"all on {', '.join(nodes) or 'none'}"
    )
    budgets = inventory.objects("poddisruptionbudgets.policy")
    findings.expect(_budgeted(servers, budgets), at, expected="a PodDisruptionBudget", observed="none selects the pods")
    asked = [API_NAME, *([policy.subjects.external_name] if policy.subjects.external_name else [])]
    limit = policy.limit(DNS_P95)
    with lab.place("cluster-dns") as place:
        answers = ask(place.probe("client"), [often(name) for name in asked], DNS_BATCH.value)
    for name, answer in zip(asked, answers, strict=True):
        expected = f"an answer to each of {DNS_QUERIES.value:g} queries"
        if findings.expect(not (said := unanswered(answer)), name, expected=expected, observed=said):
            p95 = float(answer.answer["p95"])
            findings.measure(f"look-up of {name}, p95", p95, "s", limit)
            findings.expect(p95 <= limit, name, expected=f"p95 of at most {limit:g} s", observed=f"{p95:.3f} s")


@readiness(
    "dns.name-server-loss",
    severity="high",
    needs=("pods", "traffic"),
    reads=("services", "pods"),
    consent="disruption",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_dns_survives_the_loss_of_a_name_server(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """The loss of one name server is over for clients with their first retry.

    Why: CoreDNS pods are rolled, evicted and lost with their nodes; every call of the cluster begins with a look-up.
    How: While a pod looks up a name twenty times a second, one of at least two ready CoreDNS pods is deleted with a grace
        period of one second. The longest time from one answer to the next is held to 5 s, the timeout after which a
        resolver asks again; then as many pods as before have to be Ready.
    Fix: Run two replicas on two nodes, keep CoreDNS's lameduck and ready plugins, and look at kube-proxy where clients go
        on asking a server that is gone.
    Does not prove: The loss of a node, whose endpoints stay until it is found NotReady (40 s by default).
    """
    servers = name_servers(inventory)
    if servers is None:
        findings.not_assessed(
            f"there is no Service {NAMESPACE}/{SERVICE} with a selector: the name servers are not known"
        )
    at = f"Service {NAMESPACE}/{SERVICE}"
    if not findings.expect(len(servers) > 1, at, expected="two ready pods or more", observed=f"{len(servers)} ready"):
        return
    seconds, limit = DNS_LOSS_WATCHED.value, policy.limit(DNS_LOSS_GAP)
    question = (*often(API_NAME, times=int(seconds / _EVERY)), "--every", f"{_EVERY}s")
    with lab.place("dns-loss") as place, ThreadPoolExecutor(1) as pool:
        probe = place.probe("client")
        before = ask(probe, [often(API_NAME, times=20)])[0]
        if said := unanswered(before):
            findings.inconclusive(f"names do not resolve before anything is done: {said}")
        began = time.monotonic()
        watched = pool.submit(ask, probe, [question], DNS_BATCH.value)
        _delete(lab, servers[0])
        answer = watched.result()[0]
        took = time.monotonic() - began
    if not isinstance(answer.answer, dict) or answer.answer["asked"] < 2:
        findings.inconclusive(f"nothing was asked while the name server went away: {answer}")
    gap = float(answer.answer["gap"])
    findings.measure("longest time without an answer", gap, "s", limit)
    findings.measure("queries without an answer", answer.answer["failed"], "queries")
    findings.expect(
        gap <= limit, at, expected=f"an answer every {limit:g} s", observed=f"none for {gap:.1f} s of {took:.0f} s"
    )
    _await_ready(lab, servers)


def name_servers(inventory: Reader) -> Sequence[Raw] | None:
    """The ready pods behind the cluster's DNS Service, None where that Service does not exist or selects nothing."""
    for raw in inventory.objects("services"):
        if (raw["metadata"].get("namespace"), raw["metadata"]["name"]) == (NAMESPACE, SERVICE):
            selector = raw["spec"].get("selector")
            here = [one for one in inventory.objects("pods") if one["metadata"].get("namespace") == NAMESPACE]
            found = [
                one for one in here if matches_map(selector, one["metadata"].get("labels") or {}) and is_ready(one)
            ]
            return sorted(found, key=lambda one: str(one["metadata"]["name"])) if selector else None
    return None


def _budgeted(servers: Sequence[Raw], budgets: Sequence[Raw]) -> bool:
    here = [raw for raw in budgets if raw["metadata"].get("namespace") == NAMESPACE]
    return bool(servers) and all(
        any(matches(raw["spec"].get("selector"), one["metadata"].get("labels") or {}) for raw in here)
        for one in servers
    )


def _delete(lab: Workbench, server: Raw) -> None:
    lab.allows("pods")
    name = server["metadata"]["name"]
    try:
        lab.api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {"gracePeriodSeconds": 1})
    except ApiError as error:
        raise refused(error, f"delete the pod {name} in {NAMESPACE}") from error
    lab.tell("delete", resource="pods", namespace=NAMESPACE, name=name)


def _await_ready(lab: Workbench, servers: Sequence[Raw]) -> None:
    """Leave only when as many name servers are Ready as before. Raises Missed."""
    labels = servers[0]["metadata"]["labels"]
    query = {"labelSelector": f"k8s-app={labels['k8s-app']}"} if "k8s-app" in labels else {}

    def enough(found: Objects) -> bool | None:
        return True if sum(map(is_ready, found.values())) >= len(servers) else None

    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    await_state(lab.api, path, query, enough, LAB_POD_DEADLINE.value, f"readiness of {len(servers)} name servers")
