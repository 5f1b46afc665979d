"""Planted defects and near misses of the area high-availability."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from fixtures.api import Api, Conflict
from reports.words import Verdict
from tests.proofs.builders import daemon_set, deployment, disruption_budget, named, service, stateful_set
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
Undo = Callable[[], None]
DEADLINE = 60.0
SLICES = "/apis/discovery.k8s.io/v1/namespaces"
REGION = "topology.kubernetes.io/region"
FAR = ("node-0", "node-3")
"""The workers of the first zone, which the regional cases move to another region."""


def autoscaler(name: str, minimum: int, maximum: int = 9) -> Raw:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": minimum, "maxReplicas": maximum}
    return named("autoscaling/v2", "HorizontalPodAutoscaler", name, spec=spec)


def pinned(name: str, *nodes: str, **more: Any) -> Raw:
    """A Deployment whose pods run on the given nodes only."""
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    return deployment(name, pod={"affinity": affinity, **more}, replicas=2)


def spread(key: str) -> Raw:
    selector = {"matchLabels": {"app": "web"}}
    rule = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}
    return {"topologySpreadConstraints": [rule]}


SINGLE = "high-availability.no-single-point-of-failure"
WEB, DB = "Deployment {ns}/web", "StatefulSet {ns}/db"
OVER_NODES = spread("kubernetes.io/hostname")

REPLICAS = [
    defect(SINGLE, "one replica", deployment(replicas=1), subject=WEB, observed="1", pods=True),
    defect(SINGLE, "one replica of a StatefulSet", stateful_set(replicas=1), subject=DB, pods=True),
    defect(SINGLE, "an autoscaler that goes down to one", deployment(replicas=3, pod=OVER_NODES), autoscaler("web", 1),
           subject=WEB, observed="minReplicas"),
    defect(SINGLE, "all replicas on one node", pinned("web", "node-0"), subject=WEB, observed="node-0", pods=True),
    defect(SINGLE, "all replicas in one zone", pinned("web", *FAR, **OVER_NODES), subject=WEB, observed="region-1a", pods=True),
    defect(SINGLE, "pods that find no node", pinned("web", "node-99"), subject=WEB, observed="Ready pods: 0"),
    near_miss(SINGLE, "two replicas in two zones", pinned("web", "node-0", "node-1", **OVER_NODES), subject=WEB, pods=True),
    near_miss(SINGLE, "a StatefulSet over zones", stateful_set(replicas=3, pod=pinned("x", "node-0", "node-1", "node-2")["spec"]
              ["template"]["spec"] | {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
              "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "db"}}}]}), subject=DB, pods=True),
    near_miss(SINGLE, "declared to be single", deployment(replicas=1), subject=WEB, verdict=Verdict.NOT_APPLICABLE,
              policy={"subjects": {"single_replica": ["{ns}/web"]}}),
    near_miss(SINGLE, "scaled to zero", deployment(replicas=0), subject=WEB, verdict=Verdict.NOT_APPLICABLE),
    near_miss(SINGLE, "an autoscaler that stays at two", pinned("web", "node-0", "node-1", **OVER_NODES), autoscaler("web", 2),
              subject=WEB, pods=True),
]  # fmt: skip


def one_api_server(api: Api, namespace: str) -> Undo:
    """Leave one address in the EndpointSlice of the API servers, against their own attempts to correct it."""
    path = f"{SLICES}/default/endpointslices/kubernetes"
    before = api.get(path)["endpoints"]
    done = threading.Event()

    def hold() -> None:
        while not done.is_set():
            with contextlib.suppress(Conflict):
                api.patch(path, {"endpoints": before[:1]})

    api.patch(path, {"endpoints": before[:1]})
    thread = threading.Thread(target=hold, daemon=True)
    thread.start()

    def undo() -> None:
        done.set()
        thread.join(DEADLINE)
        api.patch(path, {"endpoints": before})

    return undo


SERVERS = "high-availability.redundant-api-server"
API_SERVERS = [
    defect(SERVERS, "one address", subject="Cluster", alone=True, arrange=one_api_server),
    near_miss(SERVERS, "three addresses", subject="Cluster", alone=True),
]

PRESENT = "high-availability.pdb-present"
BY_EXPRESSION = {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}}
PRESENCE = [
    defect(PRESENT, "none", deployment(), subject=WEB, observed="0 of"),
    defect(PRESENT, "one for another workload", deployment(), disruption_budget("web", "api", minAvailable=1), subject=WEB),
    defect(PRESENT, "two that overlap", deployment(), disruption_budget("a", "web", minAvailable=1),
           named("policy/v1", "PodDisruptionBudget", "b", spec={"maxUnavailable": 1, **BY_EXPRESSION}),
           subject=WEB, observed="a, b"),
    defect(PRESENT, "one that asks for a label more", deployment(),
           named("policy/v1", "PodDisruptionBudget", "web",
                 spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web", "tier": "front"}}}), subject=WEB),
    defect(PRESENT, "one for the first pod of a StatefulSet", stateful_set(replicas=2),
           named("policy/v1", "PodDisruptionBudget", "db",
                 spec={"minAvailable": 1, "selector": {"matchLabels": {"statefulset.kubernetes.io/pod-name": "db-0"}}}),
           subject=DB, observed="1 of 2", pods=True),
    near_miss(PRESENT, "by labels", deployment(), disruption_budget("web", "web", minAvailable=1), subject=WEB),
    near_miss(PRESENT, "by expression", deployment(),
              named("policy/v1", "PodDisruptionBudget", "web", spec={"minAvailable": 1, **BY_EXPRESSION}), subject=WEB),
    near_miss(PRESENT, "an empty selector, which selects all", stateful_set(),
              named("policy/v1", "PodDisruptionBudget", "all", spec={"minAvailable": 1, "selector": {}}), subject=DB),
    near_miss(PRESENT, "a single replica", deployment(replicas=1), subject=WEB, verdict=Verdict.NOT_APPLICABLE),
]  # fmt: skip

SELECTS = "high-availability.pdb-selects-pods"
BUDGET = "PodDisruptionBudget {ns}/web"
SELECTION = [
    defect(SELECTS, "a label with a typo", deployment(), disruption_budget("web", "wbe", minAvailable=1), subject=BUDGET),
    defect(SELECTS, "no selector at all", deployment(),
           named("policy/v1", "PodDisruptionBudget", "web", spec={"minAvailable": 1}), subject=BUDGET),
    near_miss(SELECTS, "a workload that is scaled to zero", deployment(replicas=0),
              disruption_budget("web", "web", minAvailable=1), subject=BUDGET),
    near_miss(SELECTS, "the pods of a DaemonSet", daemon_set("web"), disruption_budget("web", "web", maxUnavailable=1),
              subject=BUDGET, pods=True),
]  # fmt: skip

MINIMUM = "high-availability.pdb-min-available-one"


def budgeted(replicas: int, **spec: Any) -> tuple[Raw, Raw]:
    return deployment(replicas=replicas), disruption_budget("web", "web", **spec)


MINIMUMS = [
    defect(MINIMUM, "as many as there are replicas", *budgeted(2, minAvailable=2), subject=BUDGET, observed="no pod may go"),
    defect(MINIMUM, "one of one", *budgeted(1, minAvailable=1), subject=BUDGET, observed="no pod may go"),
    defect(MINIMUM, "zero", *budgeted(2, minAvailable=0), subject=BUDGET, observed="none is kept"),
    defect(MINIMUM, "none may be unavailable", *budgeted(3, maxUnavailable=0), subject=BUDGET, observed="no pod may go"),
    defect(MINIMUM, "all may be unavailable", *budgeted(3, maxUnavailable="100%"), subject=BUDGET, observed="none is kept"),
    defect(MINIMUM, "a percentage that rounds up to all", *budgeted(2, minAvailable="51%"), subject=BUDGET),
    defect(MINIMUM, "a percentage of unavailable ones that rounds up to all", *budgeted(2, maxUnavailable="51%"),
           subject=BUDGET, observed="none is kept"),
    defect(MINIMUM, "the autoscaler's minimum", *budgeted(4, minAvailable=2), autoscaler("web", 2), subject=BUDGET,
           observed="2 of 2"),
    defect(MINIMUM, "neither number", *budgeted(2), subject=BUDGET, observed="neither"),
    near_miss(MINIMUM, "one of two", *budgeted(2, minAvailable=1), subject=BUDGET),
    near_miss(MINIMUM, "half of two", *budgeted(2, minAvailable="50%"), subject=BUDGET),
    near_miss(MINIMUM, "one of three unavailable", *budgeted(3, maxUnavailable="30%"), subject=BUDGET),
    near_miss(MINIMUM, "two of at least three", *budgeted(5, minAvailable=2), autoscaler("web", 3), subject=BUDGET),
    near_miss(MINIMUM, "a budget of two workloads", deployment("web"), deployment("api"),
              named("policy/v1", "PodDisruptionBudget", "web", spec={"minAvailable": 2, **BY_EXPRESSION}), subject=BUDGET),
    near_miss(MINIMUM, "nothing to keep", *budgeted(0, minAvailable=1), subject=BUDGET, verdict=Verdict.NOT_APPLICABLE),
]  # fmt: skip


def far_region(api: Api, namespace: str) -> Undo:
    """Move the first zone to another region, and wait until the Service `web` has both its endpoints."""
    _wait_for_endpoints(api, namespace, 2)
    before = {name: api.get(f"/api/v1/nodes/{name}")["metadata"]["labels"][REGION] for name in FAR}
    for name in FAR:
        api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {REGION: "region-2"}}})

    def undo() -> None:
        for name, region in before.items():
            api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {REGION: region}}})

    return undo


def far_region_not_ready(api: Api, namespace: str) -> Undo:
    """The same, with the pod in the other region not Ready."""
    undo = far_region(api, namespace)
    for pod in api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]:
        if pod["spec"]["nodeName"] in FAR:
            conditions = [
                {**one, "status": "False"} if one["type"] == "Ready" else one for one in pod["status"]["conditions"]
            ]
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status"
            api.patch(path, {"status": {"conditions": conditions}})
    _wait_for_endpoints(api, namespace, 1)
    return undo


def _wait_for_endpoints(api: Api, namespace: str, count: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while _ready_endpoints(api, namespace) != count:
        assert time.monotonic() < deadline, f"the Service has not come to have {count} ready endpoints"
        time.sleep(0.1)


def _ready_endpoints(api: Api, namespace: str) -> int:
    slices = api.get(f"{SLICES}/{namespace}/endpointslices", {"labelSelector": "kubernetes.io/service-name=web"})[
        "items"
    ]
    return sum(bool(one["conditions"].get("ready")) for raw in slices for one in raw["endpoints"] or ())


def regional(
    property_id: str,
    name: str,
    verdict: Verdict,
    *nodes: str,
    areas: Raw | None = None,
    service_name: str = "{ns}/web",
    **more: Any,
) -> Case:
    """A Service whose two pods run on the given nodes, of which the first zone is in region-2."""
    objects = (pinned("web", *nodes, **OVER_NODES), service("web"))
    subjects = {"services_in_two_regions": [service_name] if service_name else [], "areas": areas or {}}
    return Case(
        property_id, name, verdict, objects, "Cluster", policy={"subjects": subjects}, pods=True, alone=True, **more
    )


REGIONS, AREAS = "high-availability.multi-region", "high-availability.geographic-distribution"
APART, CLOSE = {"region-1": "Europe", "region-2": "Asia"}, {"region-1": "Europe", "region-2": "Europe"}
REGIONAL = [
    regional(REGIONS, "both pods in one region", Verdict.FAIL, "node-1", "node-2", arrange=far_region),
    regional(REGIONS, "a pod in each region", Verdict.PASS, "node-0", "node-1", arrange=far_region),
    regional(REGIONS, "a cluster in one region", Verdict.NOT_ASSESSED, "node-0", "node-1"),
    regional(REGIONS, "the pod in the other region not Ready", Verdict.FAIL, "node-0", "node-1", arrange=far_region_not_ready),
    regional(REGIONS, "no Service named", Verdict.NOT_ASSESSED, "node-0", "node-1", service_name="", arrange=far_region),
    regional(REGIONS, "a Service that does not exist", Verdict.NOT_ASSESSED, "node-0", "node-1", service_name="{ns}/wbe",
             arrange=far_region),
    regional(AREAS, "both pods in one area", Verdict.FAIL, "node-1", "node-2", areas=APART, arrange=far_region),
    regional(AREAS, "a pod in each area", Verdict.PASS, "node-0", "node-1", areas=APART, arrange=far_region),
    regional(AREAS, "two regions of one area", Verdict.NOT_ASSESSED, "node-0", "node-1", areas=CLOSE, arrange=far_region),
    regional(AREAS, "a region that no area is given for", Verdict.NOT_ASSESSED, "node-0", "node-1", areas={"region-1": "Europe"},
             arrange=far_region),
]  # fmt: skip

CASES: list[Case] = [*REPLICAS, *API_SERVERS, *PRESENCE, *SELECTION, *MINIMUMS, *REGIONAL]
