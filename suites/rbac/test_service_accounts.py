"""Which identity workloads run as, whether they carry its token, and what it may do."""

from __future__ import annotations

from fixtures.rbac import READS, access
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Binding, Reader, ServiceAccount, Workload
from fixtures.subjects.access import EVERYBODY, account_name, accounts_by_name, is_excepted
from suites.rbac.accounts import api_token, own_grants
from suites.rbac.rights import require_holders

RISKS = (
    ("get", "secrets", ""),
    ("list", "secrets", ""),
    ("create", "pods", ""),
    ("create", "pods/exec", ""),
    ("update", "pods/ephemeralcontainers", ""),
    ("patch", "pods/ephemeralcontainers", ""),
    ("impersonate", "users", ""),
    ("escalate", "clusterroles", "rbac.authorization.k8s.io"),
    ("create", "serviceaccounts/token", ""),
    ("patch", "nodes", ""),
    ("update", "validatingwebhookconfigurations", "admissionregistration.k8s.io"),
    ("update", "mutatingwebhookconfigurations", "admissionregistration.k8s.io"),
)
"""What no workload needs in every namespace: verb, resource and group (rbac.service-account-permissions)."""


@readiness("rbac.default-service-account-unused", severity="high", reads=("serviceaccounts",))
def test_no_workload_calls_the_api_as_default(workload: Workload, findings: Findings, inventory: Reader) -> None:
    """No workload carries the token of the ServiceAccount `default`.

    Why: Every pod that says nothing runs as `default`, so that a right given to it is given to all of them.
    How: serviceAccountName of the template (absent means default); the token is mounted unless the pod, or else the
    account, sets automountServiceAccountToken to false, or where a volume projects one.
    Fix: Set serviceAccountName to an account of its own, or automountServiceAccountToken: false.
    Does not prove: That no token gets in by another way, such as a Secret of the old token type.
    """
    name = account_name(workload)
    account = inventory.derive(accounts_by_name).get((workload.namespace, name)) or {}
    token = api_token(workload, account)
    findings.expect(
        name != "default" or not token,
        f"{workload.pod_spec_path}.serviceAccountName",
        expected="an account of its own, or no token",
        observed=f"ServiceAccount default with {token}",
    )


@readiness("rbac.default-service-account-unbound", severity="medium")
def test_no_binding_names_a_default_account(binding: Binding, findings: Findings) -> None:
    """No binding names the ServiceAccount `default` of a namespace.

    Why: What `default` may do, every pod of the namespace may do that does not say otherwise, today's and next
    year's.
    How: The subjects of every RoleBinding and ClusterRoleBinding, system namespaces included.
    Fix: Bind a ServiceAccount made for the workload, and set it as the workload's serviceAccountName.
    Does not prove: That no group, such as system:serviceaccounts, gives `default` rights.
    """
    require_holders(binding, findings)
    named = [str(one) for one in binding.holders if one.account and one.account[1] == "default"]
    findings.expect(not named, "subjects", expected="no ServiceAccount default", observed=named)


@readiness("rbac.token-mounted-only-where-needed", severity="high", reads=("serviceaccounts", *READS))
def test_no_workload_carries_a_token_without_rights(workload: Workload, findings: Findings, inventory: Reader) -> None:
    """A workload carries a token for the API only if its account has rights on it.

    Why: A token that its pod does not need is worth stealing all the same: it tells who runs where, and a right
    that is granted later comes to whoever has it.
    How: The effective automountServiceAccountToken and projected token volumes (a token for another audience is
    none for the API) against the rules of the account and its groups, beyond what every identity may do.
    Fix: Set automountServiceAccountToken: false on the ServiceAccount.
    Does not prove: That a workload whose account has rights does use them.
    """
    name = account_name(workload)
    account = inventory.derive(accounts_by_name).get((workload.namespace, name)) or {}
    token = api_token(workload, account)
    grants = own_grants(inventory.derive(access), workload.namespace, name)
    findings.expect(
        not token or any(grant.holder not in EVERYBODY for grant in grants),
        f"{workload.pod_spec_path}.automountServiceAccountToken",
        expected="false, since no binding grants anything to the account",
        observed=f"ServiceAccount {name}: {token}",
    )


@readiness("rbac.service-account-permissions", severity="high", reads=READS)
def test_service_accounts_hold_no_risky_right(
    service_account: ServiceAccount, findings: Findings, inventory: Reader
) -> None:
    """No ServiceAccount of a workload may do cluster-wide what only administrators do.

    Why: Whoever breaks into one pod holds its account's rights; with one of these, the whole cluster.
    How: The authorizer's answer to a list of requests over all namespaces (read Secrets, create or enter pods,
    impersonate, escalate, make tokens, change nodes and webhooks), through the account's own bindings and its
    groups.
    Fix: Bind a Role in the namespaces where the workload acts, with the verbs that it uses.
    Does not prove: That rights inside single namespaces are small, or that no authorizer besides RBAC allows more.
    """
    identity = service_account.identity
    if is_excepted(inventory.scope, identity.holders[0]):
        findings.not_applicable("subjects.rbac_exceptions of the policy file declares it")
    grants = inventory.derive(access).grants(identity)
    for verb, resource, group in RISKS:
        by = [one for one in grants if one.reaches("") and one.rule.allows(verb, resource, group)]
        findings.expect(
            not by,
            f"{verb} {resource}{f'.{group}' if group else ''}",
            expected="not allowed in all namespaces",
            observed=", ".join(sorted({f"allowed by {one.binding} ({one.role})" for one in by})),
            look=f"kubectl auth can-i {verb} {resource} --all-namespaces --as={identity.user}",
        )
