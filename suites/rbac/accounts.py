"""How a workload comes by the token of its ServiceAccount, and what that account may do."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.rbac import Access, Grant, Identity
from fixtures.subjects import Raw, Workload

BUILT_IN = frozenset({
    "ClusterRole system:basic-user",
    "ClusterRole system:discovery",
    "ClusterRole system:public-info-viewer",
    "ClusterRole system:service-account-issuer-discovery",
})  # fmt: skip
"""The roles that Kubernetes itself gives to everybody, or documents to be given (the issuer's keys)."""

API_AUDIENCES = ("https://kubernetes.default", "kubernetes", "api")
"""How audiences of the API server begin; a token for another audience (a cloud's, a vault's) is no use there."""


def mounts_by_default(workload: Workload, account: Raw) -> bool:
    """Whether admission mounts the account's token: the pod's word, else the account's, else yes."""
    for one in (workload.pod_spec, account):
        value = one.get("automountServiceAccountToken")
        if value is not None:
            return bool(value)
    return True


def token_volumes(spec: Raw) -> Iterator[tuple[str, str]]:
    """Each volume of a pod spec that projects a ServiceAccount token, with its audience ("" is the API server)."""
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            token = source.get("serviceAccountToken")
            if token is not None:
                yield str(volume.get("name", "")), str(token.get("audience") or "")


def api_token(workload: Workload, account: Raw) -> str:
    """How a token for the API server gets into the workload's pods, "" where none does."""
    if mounts_by_default(workload, account):
        return "automountServiceAccountToken: true (the default)"
    for name, audience in token_volumes(workload.pod_spec):
        if not audience or audience.startswith(API_AUDIENCES):
            return f"volume {name}"
    return ""


def own_grants(access: Access, namespace: str, name: str) -> list[Grant]:
    """What a ServiceAccount may do beyond Kubernetes' own roles for everybody, through its name or its groups."""
    grants = access.grants(Identity.of_account(namespace, name))
    return [grant for grant in grants if grant.role not in BUILT_IN]
