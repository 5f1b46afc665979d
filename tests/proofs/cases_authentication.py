"""Planted defects and near misses of credentials, tokens and rights, tried out with identities of the case's own."""

from __future__ import annotations

from typing import Any

from reports.words import Verdict
from tests.proofs.builders import bare_pod, binding, named, role, rule
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.enforcing import admission_policy, in_force

Raw = dict[str, Any]
CREDENTIALS = "authentication.no-default-credentials"
BOUND = "authentication.bound-service-account-tokens"
TOKENS = "authentication.short-lived-tokens"
IN_FORCE = "rbac.in-force"


def secret(name: str, namespace: str = "{ns}") -> Raw:
    return named("v1", "Secret", name, metadata={"namespace": namespace}, stringData={"example": "example"})


def capped(expression: str) -> Any:
    """A policy over token requests of the run's own ServiceAccounts, wherever they are."""
    return admission_policy(expression, resource="serviceaccounts/token", everywhere=True)


GROUP: Raw = {"kind": "Group", "name": "system:serviceaccounts", "apiGroup": "rbac.authorization.k8s.io"}


def everybody(*rules: Raw) -> tuple[Raw, Raw]:
    """Give rights to every ServiceAccount of the cluster."""
    return role("{ns}", *rules, cluster=True), binding("{ns}", "{ns}", GROUP, cluster=True)


def token_secret(name: str) -> Raw:
    annotations = {"kubernetes.io/service-account.name": "default"}
    return named(
        "v1", "Secret", name, metadata={"annotations": annotations}, type="kubernetes.io/service-account-token"
    )


def projecting(seconds: int) -> Raw:
    """A pod with a token of its own for that long."""
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": seconds, "audience": "vault"}}
    return bare_pod("lone", volumes=[{"name": "vault", "projected": {"sources": [source]}}])


CASES: list[Case] = [
    defect(BOUND, "a token in a Secret", token_secret("deployer"), observed="that of default", alone=True),
    defect(BOUND, "a projected token for two days", projecting(172_800), observed="172800 s", alone=True),
    near_miss(
        BOUND,
        "a projected token for an hour, and a Secret of a like name",
        projecting(3600),
        secret("deployer-token"),
        alone=True,
    ),
    defect(
        CREDENTIALS,
        "Argo CD's first password",
        secret("argocd-initial-admin-secret"),
        observed="still there",
        alone=True,
    ),
    defect(
        CREDENTIALS,
        "a bootstrap token that outlived its day",
        secret("bootstrap-token-abcdef", "kube-system"),
        observed="h old",
        policy={"thresholds": {"authentication.bootstrap-token-age": 0}},
        alone=True,
    ),
    near_miss(
        CREDENTIALS,
        "a bootstrap token of today, and a Secret of a like name",
        secret("bootstrap-token-abcdef", "kube-system"),
        secret("argocd-initial-admin"),
        alone=True,
    ),
    defect(TOKENS, "a year is granted", observed="granted for 8760 h", alone=True),
    defect(
        TOKENS,
        "capped at a week",
        *capped("object.spec.expirationSeconds <= 604800"),
        observed="granted for 25 h",
        alone=True,
        arrange=in_force(),
    ),
    near_miss(
        TOKENS,
        "more than a day is refused",
        *capped("object.spec.expirationSeconds <= 86400"),
        alone=True,
        arrange=in_force(),
    ),
    near_miss(
        TOKENS,
        "every token is refused, so that a refusal proves nothing",
        *capped("object.spec.expirationSeconds <= 600"),
        alone=True,
        arrange=in_force(),
        verdict=Verdict.NOT_ASSESSED,
    ),
    defect(
        IN_FORCE,
        "every ServiceAccount reads Secrets",
        *everybody(rule("get,list", "secrets")),
        observed="list the Secrets of kube-system: allowed",
        alone=True,
    ),
    defect(
        IN_FORCE,
        "every ServiceAccount may exec",
        *everybody(rule("create", "pods/exec")),
        observed="exec into a pod: allowed",
        alone=True,
    ),
    defect(
        IN_FORCE,
        "every ServiceAccount reaches kubelets",
        *everybody(rule("get", "nodes/proxy")),
        observed="reach the kubelet's API: allowed",
        alone=True,
    ),
    defect(
        IN_FORCE,
        "every ServiceAccount is an administrator",
        binding("{ns}", "cluster-admin", GROUP, cluster=True),
        observed="bind cluster-admin: allowed",
        alone=True,
    ),
    near_miss(IN_FORCE, "every ServiceAccount may look", binding("{ns}", "view", GROUP, cluster=True), alone=True),
    near_miss(IN_FORCE, "nothing is given to all", alone=True),
]
