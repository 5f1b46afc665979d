"""Planted defects and near misses of mutations, as MutatingAdmissionPolicies on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from fixtures.lab.asked import compliant
from fixtures.lab.waiting import await_answer
from reports.words import Verdict
from tests.proofs.builders import deployment, named
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.cases_admission import NO_PODS

Raw = dict[str, Any]
MUTATIONS = "admission.mutating-webhooks"
_API = "admissionregistration.k8s.io/v1"
MARK = "proof-mark"
DEADLINE = 60.0
HERE = "Namespace {ns}"
WEB = deployment("web", replicas=0)


def mutation(*mutations: Raw) -> tuple[Raw, Raw]:
    """A policy that changes the pods of the case's namespace, and marks them with a label; and its binding."""
    here = {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"namespaceSelector": here, "resourceRules": [rule]},
        "mutations": [*mutations, patch(f'[JSONPatch{{op: "add", path: "/metadata/labels/{MARK}", value: "yes"}}]')],
    }
    return (
        named(_API, "MutatingAdmissionPolicy", "{ns}-mutation", spec=spec),
        named(_API, "MutatingAdmissionPolicyBinding", "{ns}-mutation", spec={"policyName": "{ns}-mutation"}),
    )


def patch(expression: str) -> Raw:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def apply(expression: str) -> Raw:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def marked(api: Api, namespace: str) -> Callable[[], None]:
    """Wait until the namespace's mutation acts; `arrange` for a case."""

    def acts() -> bool | None:
        made = api.create(f"/api/v1/namespaces/{namespace}/pods", compliant(), {"dryRun": "All"})
        return True if MARK in made["metadata"]["labels"] else None

    await_answer(acts, DEADLINE, f"the mutation of {namespace}")
    return lambda: None


TOLERATION = 'Object.spec.tolerations{key: "proof.example", operator: "Exists"}'
APPENDS = f'[JSONPatch{{op: "add", path: "/spec/tolerations/-", value: {TOLERATION}}}]'
CONTEXT = "securityContext: Object.spec.containers.securityContext"
PRIVILEGED = (
    f'Object{{spec: Object.spec{{containers: [Object.spec.containers{{name: "probe", {CONTEXT}'
    "{privileged: true, allowPrivilegeEscalation: true}}]}}"
)
REMOVES = '[JSONPatch{op: "remove", path: "/spec/securityContext/seccompProfile"}]'

CASES: list[Case] = [
    defect(
        MUTATIONS,
        "appends each time",
        WEB,
        *mutation(patch(APPENDS)),
        subject=HERE,
        observed="spec.tolerations",
        arrange=marked,
    ),
    defect(
        MUTATIONS,
        "makes a container privileged",
        WEB,
        *mutation(apply(PRIVILEGED)),
        subject=HERE,
        observed="container probe: privileged",
        arrange=marked,
    ),
    defect(
        MUTATIONS,
        "removes a part of the security context",
        WEB,
        *mutation(patch(f"has(object.spec.securityContext.seccompProfile) ? {REMOVES} : []")),
        subject=HERE,
        observed="no seccomp profile",
        arrange=marked,
    ),
    near_miss(MUTATIONS, "adds a label", WEB, *mutation(), subject=HERE, arrange=marked),
    near_miss(
        MUTATIONS,
        "a quota refuses every pod, so that no mutation is seen",
        WEB,
        NO_PODS,
        *mutation(),
        subject=HERE,
        verdict=Verdict.NOT_ASSESSED,
    ),
]
