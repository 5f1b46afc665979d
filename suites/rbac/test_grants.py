"""What no binding may grant to anybody but the platform, wherever it applies."""

from __future__ import annotations

from fixtures.rbac import READS, Rule, access
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Binding, Reader
from fixtures.subjects.access import CLUSTER_ADMIN, EVERYBODY, MASTERS
from suites.rbac.accounts import BUILT_IN
from suites.rbac.rights import (
    BIND,
    CLUSTER_SUBRESOURCES,
    ESCALATE,
    ESCALATE_CLUSTER,
    IMPERSONATE_ACCOUNTS,
    IMPERSONATE_CLUSTER,
    TOKENS,
    forbid,
    found,
    grants_everything,
    require_holders,
    wildcards,
)

TENANT_ROLES = frozenset({"ClusterRole admin", "ClusterRole edit"})
"""Kubernetes' own roles for the owners of a namespace: with either one runs pods as any ServiceAccount of it anyway."""


@readiness("rbac.no-wildcard-grants", severity="critical")
def test_no_binding_grants_a_wildcard(binding: Binding, findings: Findings) -> None:
    """No binding grants `*` as verb, resource, API group or path.

    Why: A wildcard grants what exists today and whatever a later version or a new CRD adds, and `*` as a verb
    includes bind, escalate and impersonate.
    How: The rules of the binding's role, aggregated ones included, for every holder that is not the platform;
    `*/scale` names one subresource and is no wildcard.
    Fix: List the apiGroups, resources and verbs that are used; `kubectl auth can-i --list --as` shows what is held.
    Does not prove: That the listed rights are needed, or that no other authorizer (webhook, ABAC) allows more.
    """
    forbid(binding, findings, "no `*` in verbs, resources, apiGroups or nonResourceURLs", wildcards)


@readiness("rbac.no-cluster-admin-bindings", severity="critical")
def test_nobody_but_the_platform_is_cluster_admin(binding: Binding, findings: Findings) -> None:
    """Nobody but the break-glass group of the platform holds cluster-admin.

    Why: Whoever holds cluster-admin reads every Secret and changes every object; one stolen token is the whole
    cluster.
    How: roleRef of every RoleBinding and ClusterRoleBinding; system:masters and kubeadm:cluster-admins are left
    out, ServiceAccounts of system namespaces are not.
    Fix: Replace the binding by one to a role that names what is used, or declare it under subjects.rbac_exceptions.
    Does not prove: That no other role grants as much (rbac.no-wildcard-grants), or who is in an external group.
    """
    require_holders(binding, findings)
    findings.expect(
        binding.role != f"ClusterRole {CLUSTER_ADMIN}",
        "roleRef",
        expected=f"a role other than {CLUSTER_ADMIN}",
        observed=f"{binding.role} for {binding.who}",
    )


@readiness("rbac.no-escalation-verbs", severity="critical", reads=READS)
def test_no_binding_grants_a_verb_of_escalation(binding: Binding, findings: Findings, inventory: Reader) -> None:
    """No binding grants bind, escalate or impersonate.

    Why: These verbs give away rights that their holder does not have: bind and escalate any role, impersonate any
    user.
    How: The verbs on the resources where they mean something: bind and escalate on roles and clusterroles,
    impersonate on users, groups, uids and serviceaccounts; what is cluster-wide only, a RoleBinding cannot grant.
    bind on roles that are named and do not grant everything is left alone, and so is what `admin` and `edit` give
    in a namespace.
    Fix: Name the roles that may be bound (resourceNames), and remove escalate and impersonate.
    Does not prove: That the role named with bind is itself harmless beyond not granting everything.
    """
    index = inventory.derive(access)

    def look(rule: Rule) -> str:
        wanted = [ESCALATE]
        if binding.cluster_wide or binding.role not in TENANT_ROLES:
            wanted.append(IMPERSONATE_ACCOUNTS)
        if binding.cluster_wide:
            wanted += [ESCALATE_CLUSTER, *IMPERSONATE_CLUSTER]
        named = rule.names and not any(grants_everything(index, "ClusterRole", "", name) for name in rule.names)
        return found(rule, wanted if named else [*wanted, *BIND])

    forbid(binding, findings, "neither bind, escalate nor impersonate", look)


@readiness("rbac.no-sensitive-subresources", severity="critical")
def test_no_binding_grants_a_subresource_that_makes_credentials(binding: Binding, findings: Findings) -> None:
    """No binding grants nodes/proxy, making tokens, or approving certificates.

    Why: nodes/proxy runs commands in every pod of a node past admission and audit, even with `get` alone; a token
    of any ServiceAccount, or a certificate for any name, is that identity.
    How: Any verb on nodes/proxy and update or patch of certificatesigningrequests/approval cluster-wide; create on
    serviceaccounts/token anywhere, unless a Role of the namespace names the accounts (`admin` and `edit` may, too).
    Fix: Grant nodes/metrics instead of nodes/proxy; name the ServiceAccounts in resourceNames of a namespaced Role.
    Does not prove: That the signers refuse a request for a dangerous name once somebody has approved it.
    """
    rights = CLUSTER_SUBRESOURCES if binding.cluster_wide else () if binding.role in TENANT_ROLES else TOKENS
    expected = "no nodes/proxy, serviceaccounts/token or certificatesigningrequests/approval"
    forbid(binding, findings, expected, lambda rule: found(rule, rights))


@readiness("rbac.no-default-group-grants", severity="critical")
def test_no_role_is_bound_to_everybody(binding: Binding, findings: Findings) -> None:
    """Nothing but discovery is granted to everybody or to the group system:masters.

    Why: Everybody with any credential is in system:authenticated, everybody without one is system:anonymous; what
    system:masters holds cannot be taken from a certificate before it expires.
    How: The holders system:authenticated, system:unauthenticated, system:anonymous and system:masters of every
    binding. Kubernetes' four discovery roles are allowed, and so is reading the ConfigMap cluster-info in
    kube-public.
    Fix: Bind the role to a group of your own instead, and remove the default group from the subjects.
    Does not prove: That the server refuses anonymous requests, or who can obtain a certificate.
    """
    named = [str(one) for one in binding.holders if one in EVERYBODY] + ([str(MASTERS)] if binding.masters else [])
    if not named:
        require_holders(binding, findings)
    findings.expect(
        not named or binding.role in BUILT_IN or _is_cluster_info(binding),
        "subjects",
        expected="no group that everybody is in, and not system:masters",
        observed=f"{binding.role} for {', '.join(named)}",
    )


def _is_cluster_info(binding: Binding) -> bool:
    """Whether this is what a joining node reads before it has a credential, which kubeadm grants to anonymous."""
    harmless = (("get",), ("configmaps",), ("cluster-info",))
    only = all((rule.verbs, rule.resources, rule.names) == harmless for rule in binding.rules)
    return binding.namespace == "kube-public" and only
