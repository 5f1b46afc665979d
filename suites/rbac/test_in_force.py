"""Whether the API server really decides by roles and bindings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures import limits
from fixtures.api import METADATA_LIST, Api, ApiError
from fixtures.lab import Workbench, objects
from fixtures.lab.asked import compliant
from fixtures.lab.refusal import lacks_rights
from fixtures.lab.waiting import await_answer
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

_DRY = {"dryRun": "All"}
_ACCOUNT = "unprivileged"


@readiness(
    "rbac.in-force",
    severity="critical",
    needs=("api",),
    consent="probes",
    uses=("namespaces", "serviceaccounts", "serviceaccounts/token", "roles", "rolebindings", "configmaps"),
)
def test_rights_are_refused_until_they_are_given(cluster: WholeCluster, findings: Findings, lab: Workbench) -> None:
    """A ServiceAccount may do what a role lets it, and nothing else.

    Why: Roles protect nothing where the API server runs with AlwaysAllow, or where a binding to all ServiceAccounts gives
        everything away; then any compromised pod owns the cluster.
    How: As a ServiceAccount of the run's own, with a token of its own: listing Secrets, creating a pod and a binding to
        cluster-admin, exec into a pod and the kubelet's API have to be refused by RBAC; what would create something is a dry
        run. So has creating a ConfigMap, until a Role and a RoleBinding for just that exist.
    Fix: Set --authorization-mode=Node,RBAC, and delete bindings to system:serviceaccounts and system:authenticated.
    Does not prove: That existing roles are no wider than needed (see the other properties of rbac).
    """
    with lab.place("rights") as place:
        account = place.as_account(_ACCOUNT)
        for act, send in _forbidden(account, place.name):
            answer = _answer(send)
            findings.expect(answer == "refused", f"as a new ServiceAccount: {act}", expected="refused", observed=answer)

        def write() -> Any:
            return account.create(place.path("configmaps"), objects.named("asked-about", data={}), _DRY)

        before = _answer(write)
        findings.expect(
            before == "refused", "as a new ServiceAccount: create a ConfigMap", expected="refused", observed=before
        )
        rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": _ACCOUNT}
        holder = {"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": place.name}
        place.create("roles", objects.named(_ACCOUNT, rules=[rule]))
        place.create("rolebindings", objects.named(_ACCOUNT, roleRef=role, subjects=[holder]))
        await_answer(
            lambda: True if _answer(write) == "allowed" else None,
            limits.LAB_RIGHTS_DEADLINE.value,
            "the right that a Role and a RoleBinding give",
        )
        findings.expect(True, "with a Role: create a ConfigMap", expected="allowed", observed="allowed")


def _forbidden(account: Api, namespace: str) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """What nobody without rights may do. Authorization comes before the question whether the pod or node exists."""
    pod = f"/api/v1/namespaces/{namespace}/pods/no-such-pod/exec"
    binding = {
        "metadata": {"name": "kubeworthy-asked-about"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": namespace}],
    }
    secrets = "/api/v1/namespaces/kube-system/secrets"
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    return (
        ("list the Secrets of kube-system", lambda: account.get(secrets, {"limit": 1}, METADATA_LIST)),
        ("create a pod", lambda: account.create(objects.collection("pods", namespace), compliant(), _DRY)),
        ("exec into a pod", lambda: account.raw("POST", pod, {"command": "true", "stdout": True})),
        ("exec into a pod over WebSocket", lambda: account.raw("GET", pod, {"command": "true", "stdout": True})),
        ("bind cluster-admin", lambda: account.create(bindings, binding, _DRY)),
        ("reach the kubelet's API", lambda: account.raw("GET", "/api/v1/nodes/no-such-node/proxy/pods")),
    )


def _answer(send: Callable[[], Any]) -> str:
    """Whether a request was allowed: "refused" by RBAC, "allowed", or allowed and then answered with an error.

    Raises ApiError where nobody decided: no answer, or an identity that the server does not know.
    """
    try:
        send()
    except ApiError as error:
        if lacks_rights(error):
            return "refused"
        if error.status in (0, 401, 408, 429):
            raise
        return f"allowed, then {error.status} {error.message}"
    return "allowed"
