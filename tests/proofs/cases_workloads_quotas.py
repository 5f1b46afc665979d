"""Planted defects and near misses of the area workloads: quotas."""

from __future__ import annotations

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    deployment,
    idle,
    named,
)
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.cases_workloads import Undo, poll
from tests.proofs.customs import customs

QUOTA = "workloads.namespace-quotas"
RANGE = "workloads.namespace-limit-ranges"
HEADROOM = "workloads.quota-headroom"
PLACE = "Namespace {ns}"


def quota(hard: Raw, name: str = "quota", **spec: object) -> Raw:
    """A ResourceQuota."""
    return named("v1", "ResourceQuota", name, spec={"hard": hard, **spec})


def limit_range(kind: str, **values: Raw) -> Raw:
    """A LimitRange of one item."""
    return named("v1", "LimitRange", "defaults", spec={"limits": [{"type": kind, **values}]})


def counted(api: Api, namespace: str) -> Undo:
    """Wait until the quota controller has counted the namespace's pods."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/quota"
    poll(lambda: api.get(path)["status"].get("used", {}).get("pods") == "2", "the quota's count")
    return lambda: None


CPU: Raw = {"requests.cpu": "10"}
REST: Raw = {"requests.memory": "10Gi", "limits.memory": "10Gi", "pods": "20"}
FULL: Raw = {"cpu": "100m", "memory": "64Mi"}

OPENSHIFT = named("quota.openshift.io/v1", "ClusterResourceQuota", "teams")
QUOTAS = [
    defect(QUOTA, "none", idle(deployment()), observed="requests.cpu"),
    defect(
        QUOTA,
        "limits of memory are not bounded",
        quota({**CPU, "requests.memory": "10Gi", "pods": "20"}),
        idle(deployment()),
        observed="limits.memory: not bounded",
    ),
    defect(
        QUOTA,
        "pods of one class only",
        quota({**CPU, **REST}, scopes=["NotTerminating"]),
        idle(deployment()),
        observed="requests.cpu",
    ),
    near_miss(
        QUOTA,
        "two quotas in other words",
        quota({"cpu": "10"}, "cpu"),
        quota({"memory": "10Gi", "limits.memory": "10Gi", "count/pods": "20"}),
        idle(deployment()),
    ),
    defect(RANGE, "none", idle(deployment()), observed="default.memory"),
    defect(
        RANGE,
        "bounds of the pod, no defaults",
        limit_range("Pod", max=FULL),
        idle(deployment(replicas=0)),
        observed="default.memory",
    ),
    defect(
        RANGE,
        "a default for memory only",
        limit_range("Container", default={"memory": "64Mi"}),
        idle(deployment()),
        observed="defaultRequest.cpu",
    ),
    near_miss(RANGE, "limits that are the requests too", limit_range("Container", default=FULL), idle(deployment())),
    defect(HEADROOM, "all pods used", quota({"pods": "2"}), deployment(), observed="pods: 2", arrange=counted),
    near_miss(
        HEADROOM,
        "nine tenths used, and one bound of nothing at all",
        quota({"pods": "3", "services.loadbalancers": "0"}),
        deployment(),
        arrange=counted,
    ),
    near_miss(HEADROOM, "no quota", idle(deployment()), verdict=Verdict.NOT_APPLICABLE),
    defect(
        QUOTA,
        "pods of some priority only",
        quota(
            {**CPU, **REST}, scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}
        ),
        idle(deployment()),
        observed="requests.cpu",
    ),
    near_miss(
        QUOTA,
        "OpenShift may bound the namespace from outside",
        idle(deployment()),
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
        arrange=customs(OPENSHIFT),
    ),
    near_miss(
        QUOTA,
        "bounded from inside, with OpenShift",
        quota({**CPU, **REST}),
        idle(deployment()),
        alone=True,
        arrange=customs(OPENSHIFT),
    ),
]

CASES: list[Case] = [*QUOTAS]
