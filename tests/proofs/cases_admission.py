"""Planted defects and near misses of what admission enforces, tried out on a real API server."""

from __future__ import annotations

from typing import Any

from reports.words import Verdict
from tests.proofs.builders import deployment
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
EVERY = "pod-security.standards-in-every-namespace"


def level(standard: str, version: str = "latest") -> Any:
    """Label the case's namespace with the Pod Security Standard that it enforces; `arrange` for a case."""

    def arrange(api: Any, namespace: str) -> Any:
        labels = {"pod-security.kubernetes.io/enforce": standard, "pod-security.kubernetes.io/enforce-version": version}
        api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
        return lambda: None

    return arrange


def only_warns(api: Any, namespace: str) -> Any:
    labels = {"pod-security.kubernetes.io/warn": "restricted", "pod-security.kubernetes.io/audit": "restricted"}
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}})
    return lambda: None


NO_PODS: Raw = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "none"},
    "spec": {"hard": {"pods": "0"}},
}
WEB = deployment("web", replicas=0)

CASES: list[Case] = [
    defect(EVERY, "no label at all", WEB, subject="Namespace {ns}", observed="admitted"),
    defect(EVERY, "a level that only warns", WEB, subject="Namespace {ns}", observed="admitted", arrange=only_warns),
    defect(EVERY, "enforces privileged", WEB, subject="Namespace {ns}", arrange=level("privileged")),
    near_miss(EVERY, "enforces baseline, not restricted", WEB, subject="Namespace {ns}", arrange=level("baseline")),
    near_miss(
        EVERY,
        "a quota refuses every pod, so that a refusal proves nothing",
        WEB,
        NO_PODS,
        subject="Namespace {ns}",
        verdict=Verdict.NOT_ASSESSED,
    ),
]
