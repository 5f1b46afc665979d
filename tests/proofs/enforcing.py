"""ValidatingAdmissionPolicies for cases: what a namespace's owner can enforce beyond Pod Security admission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api, ApiError
from fixtures.lab.waiting import await_answer
from tests.proofs.builders import named

Raw = dict[str, Any]
Arrange = Callable[[Api, str], Callable[[], None]]
_API = "admissionregistration.k8s.io/v1"
_CANARY = "proof.example/canary"
DEADLINE = 60.0
"""Seconds until a policy has to be in force; a quiet API server takes one or two."""


def admission_policy(
    *expressions: str,
    resource: str = "pods",
    group: str = "",
    everywhere: bool = False,
    actions: tuple[str, ...] = ("Deny",),
) -> tuple[Raw, Raw]:
    """A policy that holds objects of a resource in the case's namespace (or anywhere) to CEL expressions, and its binding.

    It also refuses a ConfigMap with a canary label in the case's namespace, by which `in_force` sees that it acts.
    """
    here = {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [resource]},
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
    ]
    guarded = [f"request.resource.resource == 'configmaps' || ({one})" for one in expressions]
    canary = f"!('{_CANARY}' in object.metadata.?labels.orValue({{}})) || request.namespace != '{{ns}}'"
    spec: Raw = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules, **({} if everywhere else {"namespaceSelector": here})},
        "validations": [
            {"expression": one} for one in (*guarded, f"request.resource.resource != 'configmaps' || {canary}")
        ],
    }
    binding = {"policyName": "{ns}-policy", "validationActions": list(actions)}
    return (
        named(_API, "ValidatingAdmissionPolicy", "{ns}-policy", spec=spec),
        named(_API, "ValidatingAdmissionPolicyBinding", "{ns}-policy", spec=binding),
    )


def in_force(*before: Arrange) -> Arrange:
    """Wait until the namespace's policy acts, after other arrangements; `arrange` for a case."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        undos = [one(api, namespace) for one in before]
        await_answer(lambda: _refuses(api, namespace), DEADLINE, f"the policy of {namespace}")

        def undo() -> None:
            for one in reversed(undos):
                one()

        return undo

    return arrange


def _refuses(api: Api, namespace: str) -> bool | None:
    canary = {"metadata": {"name": "canary", "labels": {_CANARY: ""}}}
    try:
        api.create(f"/api/v1/namespaces/{namespace}/configmaps", canary, {"dryRun": "All"})
    except ApiError as error:
        if "ValidatingAdmissionPolicy" in error.message:
            return True
        raise
    return None
