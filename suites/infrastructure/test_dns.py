"""Names resolve on every node, to the right records, at the first query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fixtures.lab import Place, Workbench, objects
from fixtures.lab.names import cluster_domain, often, once, records, search_path, unanswered, wrong
from fixtures.lab.spread import Post, Question, ask, each, posted, usable
from fixtures.lab.states import ask_until
from fixtures.limits import DNS_BATCH, DNS_CHANGE
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, WholeCluster

LABEL = {"kubeworthy-role": "asker"}
Expected = Mapping[str, tuple[Question, list[str]]]
"""What is asked, by a name for people, with the records that have to come."""


@readiness(
    "infrastructure.dns-resolution",
    severity="critical",
    needs=("pods", "traffic"),
    reads=("nodes", "services"),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec", "services"),
)
def test_names_resolve_on_every_node(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """Names resolve correctly from pods on every node, at every query.

    Why: A node with a broken path to the name servers breaks whatever is scheduled there, and a query that is lost now
        and then costs its caller five seconds, the resolver's timeout.
    How: A pod on every ready Linux node asks the server in its resolv.conf, 100 times each: the API server's Service (A
        and AAAA), a headless Service of the run's own (one record per ready pod), its SRV record, a name that does not
        exist, and what subjects.external_name says. Every answer has to be right, and none may be missing after 2 s.
    Fix: Look at CoreDNS, the endpoints of kube-dns, policies for port 53 (UDP and TCP) and conntrack on the nodes named.
    Does not prove: Names outside of the cluster, unless one is declared; more than a sample of 50 nodes.
    """
    names, unready = usable(inventory.objects("nodes"))
    if not names:
        findings.not_assessed("no Linux node is Ready")
    with lab.place("dns", pods=len(names)) as place:
        place.create("services", objects.service("here", headless=True, selector=LABEL))
        everywhere = posted(place, names, LABEL)
        questions = _questions(place, everywhere, inventory.objects("services"), policy.subjects.external_name)
        asked = [question for question, _ in questions.values()]
        every = each(everywhere, lambda post: ask(post.probe, asked, DNS_BATCH.value))
        for post, answers in zip(everywhere, every, strict=True):
            for (what, (question, expected)), answer in zip(questions.items(), answers, strict=True):
                findings.expect(
                    not (said := wrong(answer, expected) if what != EXTERNAL else unanswered(answer)),
                    f"{what} ({question[1]}) from {post.node}",
                    expected=", ".join(expected) or ("an address" if what == EXTERNAL else "no record"),
                    observed=said,
                )
    if unready:
        findings.not_assessed(f"not tried, because NotReady: {', '.join(unready)}")


EXTERNAL = "external name"


def _questions(place: Place, everywhere: Sequence[Post], services: Sequence[Raw], external: str) -> Expected:
    domain = cluster_domain(search_path(everywhere[0].probe))
    api = f"kubernetes.default.svc.{domain}."
    addresses = next(
        (
            raw["spec"].get("clusterIPs") or [raw["spec"]["clusterIP"]]
            for raw in services
            if (raw["metadata"].get("namespace"), raw["metadata"]["name"]) == ("default", "kubernetes")
        ),
        [],
    )
    own = f"here.{place.name}.svc.{domain}."
    pods = [post.address for post in everywhere]
    found: dict[str, tuple[Question, list[str]]] = {
        "API server": (often(api), [one for one in addresses if ":" not in one]),
        "API server's IPv6 address": (often(api, "AAAA"), [one for one in addresses if ":" in one]),
        "headless Service": (often(own, "AAAA" if ":" in pods[0] else "A"), sorted(pods)),
        "missing name": (often(f"no-such-name.{place.name}.svc.{domain}."), []),
    }
    _await_records(everywhere[0], *found["headless Service"])
    [answer] = ask(everywhere[0].probe, [once(f"_tcp._tcp.{own}", "SRV")])
    found["SRV record"] = (often(f"_tcp._tcp.{own}", "SRV"), _services_of(records(answer) or [], own, len(pods)))
    if external:
        found[EXTERNAL] = (often(external), [])
    return found


def _services_of(found: list[str], name: str, count: int) -> list[str]:
    """The SRV records that came, where there is one for each pod, of the right port; else what was expected instead."""
    port = str(objects.PORTS["tcp"])
    good = [one for one in found if one.split()[2] == port and one.endswith(f".{name}")]
    return found if len(good) == len(found) == count else [f"{count} records of port {port}"]


def _await_records(post: Post, question: Question, expected: list[str]) -> None:
    """Wait until every pod is in the headless Service, which the answers are then held to."""
    single = question[: question.index("--times")]
    ask_until(
        lambda: records(ask(post.probe, [single])[0]) == sorted(expected) or None,
        DNS_CHANGE.value,
        f"{len(expected)} records of {question[1]}",
    )
