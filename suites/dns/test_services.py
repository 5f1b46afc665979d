"""Services lead to their ready pods only: in the API, in name service and in traffic."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.names import cluster_domain, once, records, search_path
from fixtures.lab.place import is_ready
from fixtures.lab.spread import Post, Question, ask, posts
from fixtures.lab.states import ask_until
from fixtures.limits import DNS_BATCH, DNS_CHANGE, EMPTY_SERVICE_MINUTES
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.selectors import matches_map
from fixtures.subjects import Raw, Reader, WholeCluster

SERVICES, PODS, SLICES = "services", "pods", "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
USES = ("namespaces", "pods", "pods/exec", "services")


@readiness(
    "dns.service-endpoints-resolve",
    severity="high",
    needs=("pods", "traffic"),
    reads=(SERVICES, PODS, SLICES),
    consent="probes",
    uses=USES,
)
def test_services_resolve_to_ready_endpoints(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """Services resolve to their ready endpoints only, and changes are seen quickly.

    Why: A name that still leads to a pod that is not ready, or does not lead to a new one, turns every rollout into errors.
    How: No judged Service with a selector is without a ready endpoint for more than 15 min. A ClusterIP, a headless and an
        ExternalName Service of the run's own are looked up from their namespace by short name, and from another one by
        name.namespace, name.namespace.svc and in full. One of two backends becomes unready and has to leave the headless
        answer, becomes ready and has to come back, within 30 s each; so has a third one that is started.
    Fix: Repair the selectors or the readiness of the empty Services, CoreDNS's rights on EndpointSlices, its cache.
    Does not prove: How long the stub resolvers and caches of applications remember an answer.
    """
    limit = policy.limit(DNS_CHANGE)
    _expect_no_empty(findings, inventory, policy)
    with lab.place("names") as here, lab.place("names-from", own=True) as there:
        here.create("services", objects.service("plain", selector=BACKEND))
        here.create("services", objects.service("headless", headless=True, selector=BACKEND))
        for name in ("one", "two"):
            here.create("pods", objects.pod(name, here.spec("serve"), BACKEND))
        there.create("pods", objects.pod("far", there.spec("serve")))
        [one, two], [far] = posts(here, "one", "two"), posts(there, "far")
        _await_answer(findings, one, [one, two], limit, "both pods are ready")
        _expect_names(findings, here, [one, two], far)
        two.probe.control(ready=False)
        _await_answer(findings, one, [one], limit, "one pod became unready")
        two.probe.control(ready=True)
        _await_answer(findings, one, [one, two], limit, "it became ready again")
        here.create("pods", objects.pod("three", here.spec("serve"), BACKEND))
        _await_answer(findings, one, [one, two, *posts(here, "three")], limit, "a third pod is ready")


BACKEND = {"kubeworthy-role": "backend"}


def _await_answer(findings: Findings, asker: Post, wanted: Sequence[Post], limit: float, stage: str) -> None:
    """Expect the headless Service to lead to exactly these pods within the limit, counted from now."""
    addresses = sorted(post.address for post in wanted)
    began, seen = time.monotonic(), [""]

    def right() -> bool | None:
        found = records(ask(asker.probe, [_look_up("headless", asker)])[0])
        seen[0] = "no answer" if found is None else ", ".join(found) or "no record"
        return True if found == addresses else None

    try:
        ask_until(right, limit, stage)
        findings.measure(f"{stage}: seen after", time.monotonic() - began, "s", limit)
        ok = True
    except Missed:
        ok = False
    expected = f"{', '.join(addresses)} within {limit:g} s after {stage}"
    findings.expect(ok, "the headless Service", expected=expected, observed=seen[0])


def _look_up(name: str, target: Post) -> Question:
    return once(name, "AAAA" if ":" in target.address else "A")


def _expect_names(findings: Findings, here: Place, backends: Sequence[Post], far: Post) -> None:
    near = backends[0]
    plain = str(here.api.get(here.path("services", "plain"))["spec"]["clusterIP"])
    domain = cluster_domain(search_path(far.probe))
    target = f"plain.{here.name}.svc.{domain}"
    here.create("services", objects.named("alias", spec={"type": "ExternalName", "externalName": target}))
    wanted = {"plain": [plain], "headless": sorted(one.address for one in backends), "alias": [plain]}
    far_names = {f"{name}.{here.name}{rest}": name for name in wanted for rest in ("", ".svc", f".svc.{domain}.")}
    for asker, names in ((near, {name: name for name in wanted}), (far, far_names)):
        for name, which in names.items():
            found, answer = _settled(asker, _look_up(name, near), wanted[which])
            findings.expect(
                found == wanted[which], name, expected=", ".join(wanted[which]), observed=found or f"none ({answer})"
            )


def _settled(asker: Post, question: Question, wanted: list[str]) -> tuple[list[str] | None, str]:
    """The records of a new Service's name, asked for until they are right or the limit is over, and the last answer."""
    last: list[tuple[list[str] | None, str]] = []

    def right() -> bool | None:
        [answer] = ask(asker.probe, [question])
        last[:] = [(records(answer), str(answer))]
        return True if last[0][0] == wanted else None

    with suppress(Missed):
        ask_until(right, DNS_CHANGE.value, question[1])
    return last[0]


@readiness(
    "dns.service-discovery",
    severity="high",
    needs=("pods", "traffic"),
    reads=(SERVICES, PODS, SLICES),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_services_are_discoverable(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """Every Service can be found by name, with the endpoints that are ready.

    Why: A stale EndpointSlice sends a share of all connections to an address where nobody, or somebody else, answers.
    How: For each judged Service with a selector: the ready addresses of its EndpointSlices are those of the ready pods that
        it selects, looked at again for up to 30 s where they differ. From a probe: its name resolves to its ClusterIP, or
        to these addresses where it is headless. Nothing is connected to.
    Fix: Remove EndpointSlices that no controller keeps, look at the EndpointSlice controller and at the selectors.
    Does not prove: Names of other clusters (ServiceImport, mirrored Services), and addresses of the other IP family.
    """
    judged = [raw for raw in inventory.objects(SERVICES) if policy.judges(raw["metadata"].get("namespace", ""))]
    selecting = [raw for raw in judged if _leads_to_pods(raw)]
    if not selecting:
        findings.not_applicable("no judged Service selects pods")
    ready = _ready_addresses(inventory.objects(PODS), inventory.objects(SLICES))
    stale = {_place(raw): _differs(lab, raw) for raw in selecting if ready(raw)[0] != ready(raw)[1]}
    with lab.place("discovery") as place:
        place.create("pods", objects.pod("client", place.spec("serve")))
        [client] = posts(place, "client")
        domain = cluster_domain(search_path(client.probe))
        names = {
            _place(raw): f"{raw['metadata']['name']}.{raw['metadata']['namespace']}.svc.{domain}." for raw in selecting
        }
        answers = ask(client.probe, [_look_up(name, client) for name in names.values()], DNS_BATCH.value)
    for raw, answer in zip(selecting, answers, strict=True):
        at, look = f"Service {_place(raw)}", f"kubectl -n {raw['metadata']['namespace']} get endpointslices"
        said = stale.get(_place(raw), "")
        findings.expect(not said, at, expected="EndpointSlices with the ready pods", observed=said, look=look)
        found = records(answer)
        right = _resolves(raw, found, client, ready(raw)[1])
        findings.expect(
            right, at, expected="its name resolves", observed=", ".join(found or ()) or str(answer), look=look
        )


def _leads_to_pods(service: Raw) -> bool:
    spec = service["spec"]
    return (
        bool(spec.get("selector")) and spec.get("type") != "ExternalName" and not spec.get("publishNotReadyAddresses")
    )


def _place(raw: Raw) -> str:
    return f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


def _ready_addresses(pods: Sequence[Raw], slices: Sequence[Raw]) -> Callable[[Raw], tuple[set[str], set[str]]]:
    """For a Service: the addresses of the ready pods that it selects, and the ready ones of its EndpointSlices."""
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in slices:
        service = (one["metadata"].get("labels") or {}).get(SERVICE_NAME, "")
        for entry in one.get("endpoints") or ():
            if (entry.get("conditions") or {}).get("ready") is not False:
                listed[one["metadata"].get("namespace", ""), service].update(entry["addresses"])

    def found(service: Raw) -> tuple[set[str], set[str]]:
        namespace, name = service["metadata"].get("namespace", ""), service["metadata"]["name"]
        addresses: set[str] = set()
        for pod in pods:
            labels = pod["metadata"].get("labels") or {}
            if pod["metadata"].get("namespace", "") == namespace and matches_map(service["spec"]["selector"], labels):
                addresses.update(_addresses(pod, service["spec"].get("ipFamilies") or ()))
        return addresses, listed[namespace, name]

    return found


def _addresses(pod: Raw, families: Sequence[str]) -> set[str]:
    if not is_ready(pod):
        return set()
    found = {one["ip"] for one in pod["status"].get("podIPs") or ()}
    return {one for one in found if not families or ("IPv6" if ":" in one else "IPv4") in families}


def _differs(lab: Workbench, service: Raw) -> str:
    """How pods and EndpointSlices differ as they are now, "" once they do not: an inventory's lists are of different moments."""
    space = service["metadata"]["namespace"]
    seen = [""]

    def same() -> bool | None:
        pods = lab.api.get(f"/api/v1/namespaces/{space}/pods")["items"]
        slices = lab.api.get(f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices")["items"]
        wanted, listed = _ready_addresses(pods, slices)(service)
        gone = [f"{one} is listed and no ready pod" for one in sorted(listed - wanted)]
        seen[0] = "; ".join([*gone, *(f"{one} is ready and not listed" for one in sorted(wanted - listed))])
        return None if seen[0] else True

    with suppress(Missed):
        ask_until(same, DNS_CHANGE.value, "equal endpoints")
    return seen[0]


def _resolves(service: Raw, found: list[str] | None, client: Post, listed: set[str]) -> bool:
    """Whether the records are the Service's; of a headless one without ready pods, and of the other family, none."""
    address = str(service["spec"].get("clusterIP", ""))
    if address == "None":
        return found == sorted(one for one in listed if (":" in one) == (":" in client.address))
    if (":" in address) != (":" in client.address):
        return found is not None
    return found == [address]


def _expect_no_empty(findings: Findings, inventory: Reader, policy: Policy) -> None:
    limit = timedelta(minutes=policy.limit(EMPTY_SERVICE_MINUTES))
    now, ready = datetime.now(UTC), _ready_addresses(inventory.objects(PODS), inventory.objects(SLICES))
    for raw in inventory.objects(SERVICES):
        if not (policy.judges(raw["metadata"].get("namespace", "")) and _leads_to_pods(raw)):
            continue
        empty = not ready(raw)[1] and now - _empty_since(raw, inventory.objects(PODS)) >= limit
        expected = f"a ready endpoint within {limit.total_seconds() / 60:g} min"
        findings.expect(not empty, f"Service {_place(raw)}", expected=expected, observed="none")


def _empty_since(service: Raw, pods: Iterable[Raw]) -> datetime:
    """The latest moment at which the Service may have had a ready endpoint: its own start, or a change of one of its pods."""
    moments = [str(service["metadata"]["creationTimestamp"])]
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        if pod["metadata"].get("namespace") == service["metadata"].get("namespace") and matches_map(
            service["spec"]["selector"], labels
        ):
            conditions = (pod.get("status") or {}).get("conditions") or ()
            moments += [str(one["lastTransitionTime"]) for one in conditions if one["type"] == "Ready"]
    return datetime.fromisoformat(max(moments))
