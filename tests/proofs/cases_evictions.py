"""Planted defects and near misses of budgets that hold evictions back, and of a cluster that is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from fixtures.lab.waiting import await_answer
from reports.words import Verdict
from tests.proofs.builders import bare_pod, deployment, disruption_budget, merge, named
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
EVICTIONS = "high-availability.evictions-honour-budgets"
HEALTH = "infrastructure.clusters-healthy-and-accessible"
DEADLINE = 60.0


def counted(api: Api, namespace: str) -> Callable[[], None]:
    """Wait until the controller has counted every budget's pods; `arrange` for a case."""

    def all_counted() -> bool | None:
        found = api.get(f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets")["items"]
        return True if all((one.get("status") or {}).get("currentHealthy") for one in found) else None

    await_answer(all_counted, DEADLINE, f"the counts of the budgets of {namespace}")
    return lambda: None


def condition(type_: str, status: str) -> Any:
    """Set a condition of the node node-0, and put the old ones back at the end."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        path = "/api/v1/nodes/node-0"
        before = api.get(path)["status"]["conditions"]
        changed = [{**one, "status": status} if one["type"] == type_ else one for one in before]
        api.patch(f"{path}/status", {"status": {"conditions": changed}})
        return lambda: api.patch(f"{path}/status", {"status": {"conditions": before}}) and None

    return arrange


def cordoned(api: Api, namespace: str) -> Callable[[], None]:
    api.patch("/api/v1/nodes/node-0", {"spec": {"unschedulable": True}})
    return lambda: api.patch("/api/v1/nodes/node-0", {"spec": {"unschedulable": None}}) and None


def unavailable(api: Api, namespace: str) -> Callable[[], None]:
    """Wait until the API server has noticed that nothing serves an APIService; `arrange` for a case."""

    def noticed() -> bool | None:
        status = api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1.proof.example").get("status") or {}
        return True if any(one["status"] == "False" for one in status.get("conditions") or ()) else None

    await_answer(noticed, DEADLINE, "the APIService's condition")
    return lambda: None


APISERVICE = named(
    "apiregistration.k8s.io/v1",
    "APIService",
    "v1.proof.example",
    spec={
        "group": "proof.example",
        "version": "v1",
        "service": {"namespace": "{ns}", "name": "nobody"},
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
    },
)

CASES: list[Case] = [
    defect(
        EVICTIONS,
        "two budgets over one pod",
        bare_pod("db"),
        disruption_budget("one", "db", minAvailable=0),
        disruption_budget("two", "db", minAvailable=0),
        subject="PodDisruptionBudget {ns}/one",
        pods=True,
        observed="500",
        arrange=counted,
    ),
    near_miss(
        EVICTIONS,
        "a budget that lets none go",
        deployment("web"),
        disruption_budget("web", "web", minAvailable=2),
        subject="PodDisruptionBudget {ns}/web",
        pods=True,
        arrange=counted,
    ),
    near_miss(
        EVICTIONS,
        "a budget that lets one go, beside one that is not over its pods",
        deployment("db"),
        deployment("web"),
        disruption_budget("db", "db", minAvailable=1),
        disruption_budget("web", "web", minAvailable=1),
        subject="PodDisruptionBudget {ns}/db",
        pods=True,
        arrange=counted,
    ),
    near_miss(
        EVICTIONS,
        "no pod is there",
        deployment("web", replicas=0),
        disruption_budget("web", "web", minAvailable=1),
        subject="PodDisruptionBudget {ns}/web",
        verdict=Verdict.NOT_APPLICABLE,
    ),
    defect(
        HEALTH,
        "a node that nobody runs",
        named("v1", "Node", "proof-stray"),
        observed="Node proof-stray: Ready=",
        alone=True,
    ),
    defect(
        HEALTH,
        "a node is short of memory",
        observed="MemoryPressure=True",
        alone=True,
        arrange=condition("MemoryPressure", "True"),
    ),
    defect(
        HEALTH,
        "nothing serves an APIService",
        APISERVICE,
        observed="APIService v1.proof.example: not available",
        alone=True,
        arrange=unavailable,
    ),
    defect(
        HEALTH,
        "a workload of kube-system has no pod",
        merge(
            deployment("dns", replicas=1, pod={"nodeSelector": {"proof.example/node": "none"}}),
            {"metadata": {"namespace": "kube-system"}},
        ),
        observed="Deployment kube-system/dns",
        alone=True,
    ),
    defect(
        HEALTH,
        "answers later than allowed",
        observed="GET /api/v1/namespaces",
        policy={"thresholds": {"infrastructure.get-p95": 0}},
        alone=True,
    ),
    near_miss(HEALTH, "a cordoned node is Ready all the same", alone=True, arrange=cordoned),
]
