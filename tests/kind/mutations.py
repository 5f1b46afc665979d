"""Defects that no object of a case can be: a policy of the API server that changes what a check makes on its way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fixtures.api import Api

Raw = dict[str, Any]
Arrange = Callable[[Api, str], Callable[[], None]]
_ROOT = "/apis/admissionregistration.k8s.io/v1"
_DEADLINE = 60.0
_PODS = ("", "v1", "pods")
CONTAINER = "/spec/containers/0"


def changed(purpose: str, *patches: str, resource: tuple[str, str, str] = _PODS, only: str = "true") -> Arrange:
    """Apply JSON patches (CEL, such as `op: 'remove', path: '/spec/x'`) to what is made in places made for `purpose`.

    `resource` is (group, version, plural), `only` a CEL condition on the object. The policy acts on the API servers some time after
    it was made, so it labels what it matches, and the arrangement waits until a dry run shows the label many times in a row.
    """

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        name = f"{namespace}-{purpose}"
        body = _policy(name, purpose, namespace, patches, resource, only)
        binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
        paths = [f"{_ROOT}/mutatingadmissionpolicies", f"{_ROOT}/mutatingadmissionpolicybindings"]
        for path, raw in zip(paths, (body, binding), strict=True):
            api.create(path, raw)

        def undo() -> None:
            for path in paths:
                api.delete(f"{path}/{name}")

        try:
            _await_effect(api, namespace)
        except BaseException:
            undo()
            raise
        return undo

    return arrange


def _policy(
    name: str, purpose: str, namespace: str, patches: tuple[str, ...], resource: tuple[str, str, str], only: str
) -> Raw:
    group, version, plural = resource
    rules = [(group, version, plural), ("", "v1", "configmaps")]
    where = f"request.namespace.endsWith('-{purpose}') || request.namespace == '{namespace}'"
    where = f"!has(request.namespace) || request.namespace == '' || {where}" if plural == "priorityclasses" else where
    real = f"request.resource.resource == '{plural}' && ({only})"
    listed = ", ".join(f"JSONPatch{{{patch}}}" for patch in patches)
    seen = "[JSONPatch{op: 'add', path: '/immutable', value: true}]"
    return {
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [one], "apiVersions": [v], "operations": ["CREATE"], "resources": [kind]}
                    for one, v, kind in rules
                ]
            },
            "matchConditions": [{"name": "ours", "expression": where}],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {
                        "expression": f"request.resource.resource == 'configmaps' ? {seen} : ({real} ? [{listed}] : [])"
                    },
                }
            ],
        },
    }


def _await_effect(api: Api, namespace: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    row = 0
    while row < 12:  # several API servers stand behind one address, and each learns of the policy by itself
        made = api.create(
            f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "seen"}}, {"dryRun": "All"}
        )
        row = row + 1 if made.get("immutable") else 0
        assert time.monotonic() < deadline, f"the policy does not act after {_DEADLINE:g} s"
        time.sleep(0.1)
