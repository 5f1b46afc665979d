"""Planted defects and near misses of the area rbac: what bindings grant."""

from __future__ import annotations

from typing import Any

from reports.words import Verdict
from tests.proofs.builders import (
    account,
    binding,
    named,
    role,
    rule,
)
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
FLEET = "{ns}-grant"
"""The name of cluster-wide roles and bindings: cases share a server."""


def user(name: str) -> Raw:
    return {"kind": "User", "apiGroup": RBAC, "name": name}


def group(name: str) -> Raw:
    return {"kind": "Group", "apiGroup": RBAC, "name": name}


def cluster_wide(*rules: Raw, who: Raw | None = None) -> tuple[Raw, ...]:
    """A ClusterRole of the rules and a ClusterRoleBinding to `who` (default: the ServiceAccount app of the case)."""
    return role(FLEET, *rules, cluster=True), binding(FLEET, FLEET, who or account("app"), cluster=True)


def in_namespace(*rules: Raw, who: Raw | None = None) -> tuple[Raw, ...]:
    """A Role of the rules and a RoleBinding to `who` (default: the ServiceAccount app of the case)."""
    return role("grant", *rules), binding("grant", "grant", who or account("app"))


def caught(property_id: str, name: str, *rules: Raw, who: Raw | None = None, **more: Any) -> Case:
    return defect(property_id, name, *cluster_wide(*rules, who=who), subject=f"ClusterRoleBinding {FLEET}", **more)


def left_alone(property_id: str, name: str, *rules: Raw, who: Raw | None = None, **more: Any) -> Case:
    return near_miss(property_id, name, *cluster_wide(*rules, who=who), subject=f"ClusterRoleBinding {FLEET}", **more)


def caught_at_home(property_id: str, name: str, *rules: Raw, who: Raw | None = None, **more: Any) -> Case:
    return defect(property_id, name, *in_namespace(*rules, who=who), subject="RoleBinding {ns}/grant", **more)


def left_alone_at_home(property_id: str, name: str, *rules: Raw, who: Raw | None = None, **more: Any) -> Case:
    return near_miss(property_id, name, *in_namespace(*rules, who=who), subject="RoleBinding {ns}/grant", **more)


def to_built_in(
    property_id: str, name: str, built_in: str, verdict: Verdict, *, who: Raw | None = None, **more: Any
) -> Case:
    """A RoleBinding in the case's namespace to one of Kubernetes' own ClusterRoles."""
    raw = binding("tenant", built_in, who or account("app"), role_kind="ClusterRole")
    return Case(property_id, name, verdict, (raw,), "RoleBinding {ns}/tenant", **more)


READ_PODS = rule("get,list,watch", "pods")

AGGREGATED = (
    named(
        f"{RBAC}/v1", "ClusterRole", FLEET,
        aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"proof": "{ns}"}}]}, rules=[],
    ),
    named(f"{RBAC}/v1", "ClusterRole", "{ns}-part", metadata={"labels": {"proof": "{ns}"}}, rules=[rule("list", "secrets")]),
    binding(FLEET, FLEET, account("app"), cluster=True),
)  # fmt: skip

WILDCARDS = [
    caught("rbac.no-wildcard-grants", "in verbs", rule("*", "configmaps"), observed="verbs"),
    caught("rbac.no-wildcard-grants", "in resources", rule("get", "*", "cert-manager.io"), observed="resources"),
    caught("rbac.no-wildcard-grants", "in apiGroups", rule("get", "deployments", "*"), observed="apiGroups"),
    caught(
        "rbac.no-wildcard-grants", "in paths", {"nonResourceURLs": ["*"], "verbs": ["get"]}, observed="nonResourceURLs"
    ),
    caught("rbac.no-wildcard-grants", "in the last of many rules", READ_PODS, rule("*", "*", "*")),
    caught_at_home("rbac.no-wildcard-grants", "in one namespace", rule("*", "pods")),
    left_alone("rbac.no-wildcard-grants", "every verb spelt out", rule("get,list,watch,create,update,patch,delete", "pods")),
    left_alone("rbac.no-wildcard-grants", "one subresource of everything", rule("get,update", "*/scale", "apps")),
    left_alone("rbac.no-wildcard-grants", "paths below one", {"nonResourceURLs": ["/metrics/*"], "verbs": ["get"]}),
    left_alone(
        "rbac.no-wildcard-grants", "declared by the policy file", rule("*", "*", "*"),
        policy={"subjects": {"rbac_exceptions": ["{ns}/app"]}}, verdict=Verdict.NOT_APPLICABLE,
    ),
    left_alone(
        "rbac.no-wildcard-grants", "of the platform's own group", rule("*", "*", "*"),
        who=group("system:masters"), alone=True, verdict=Verdict.NOT_APPLICABLE,
    ),
    caught(
        "rbac.no-wildcard-grants", "another account declared", rule("*", "*", "*"),
        policy={"subjects": {"rbac_exceptions": ["{ns}/other"]}},
    ),
]  # fmt: skip

CLUSTER_ADMINS = [
    defect(
        "rbac.no-cluster-admin-bindings", "of a ServiceAccount",
        binding(FLEET, "cluster-admin", account("app"), cluster=True), subject=f"ClusterRoleBinding {FLEET}",
    ),
    defect(
        "rbac.no-cluster-admin-bindings", "of a group",
        binding(FLEET, "cluster-admin", group("oidc:everyone"), cluster=True), subject=f"ClusterRoleBinding {FLEET}",
    ),
    defect(
        "rbac.no-cluster-admin-bindings", "of an add-on in kube-system",
        binding(FLEET, "cluster-admin", account("{ns}-tiller", "kube-system"), cluster=True),
        subject=f"ClusterRoleBinding {FLEET}", observed="tiller",
    ),
    defect(
        "rbac.no-cluster-admin-bindings", "of an account spelt as a user",
        binding(FLEET, "cluster-admin", user("system:serviceaccount:{ns}:app"), cluster=True),
        subject=f"ClusterRoleBinding {FLEET}", observed="/app",
    ),
    to_built_in("rbac.no-cluster-admin-bindings", "inside one namespace", "cluster-admin", Verdict.FAIL),
    to_built_in("rbac.no-cluster-admin-bindings", "the namespace's own admin", "admin", Verdict.PASS),
    near_miss(
        "rbac.no-cluster-admin-bindings", "a role that is only named so",
        role("cluster-admin", READ_PODS), binding("grant", "cluster-admin", account("app")),
        subject="RoleBinding {ns}/grant",
    ),
]  # fmt: skip

ESCALATION = "rbac.no-escalation-verbs"


def bound_by_name(name: str, verdict: Verdict, granted: Raw) -> Case:
    """The right to bind one named ClusterRole that grants what is given."""
    objects = (
        role("{ns}-given", granted, cluster=True),
        *cluster_wide(rule("bind", "clusterroles", RBAC, resourceNames=["{ns}-given"])),
    )
    return Case(ESCALATION, f"bind by name: {name}", verdict, objects, f"ClusterRoleBinding {FLEET}")


ESCALATIONS = [
    caught(ESCALATION, "bind any role", rule("bind", "clusterroles", RBAC), observed="bind"),
    caught(ESCALATION, "bind cluster-admin by name", rule("bind", "clusterroles", RBAC, resourceNames=["cluster-admin"])),
    caught(ESCALATION, "escalate", rule("escalate", "clusterroles", RBAC), observed="escalate"),
    caught(ESCALATION, "escalate one role", rule("escalate", "roles", RBAC, resourceNames=["reader"])),
    caught(ESCALATION, "impersonate groups", rule("impersonate", "groups"), observed="impersonate on groups"),
    caught(ESCALATION, "impersonate users", rule("impersonate", "users")),
    caught(ESCALATION, "impersonate by uid", rule("impersonate", "uids", "authentication.k8s.io")),
    caught_at_home(ESCALATION, "bind Roles in a namespace", rule("bind", "roles", RBAC)),
    bound_by_name("a role that grants everything", Verdict.FAIL, rule("*", "*", "*")),
    bound_by_name("every verb on one resource", Verdict.PASS, rule("*", "pods")),
    bound_by_name("every verb in one group", Verdict.PASS, rule("*", "*", "apps")),
    bound_by_name("read verbs on everything", Verdict.PASS, rule("get", "*", "*")),
    caught(ESCALATION, "every verb on roles", rule("*", "roles", RBAC)),
    caught_at_home(ESCALATION, "bind ClusterRoles in a namespace", rule("bind", "clusterroles", RBAC)),
    caught_at_home(ESCALATION, "impersonate the namespace's accounts", rule("impersonate", "serviceaccounts")),
    left_alone(ESCALATION, "bind a small role by name", rule("bind", "clusterroles", RBAC, resourceNames=["view"])),
    left_alone(ESCALATION, "the verbs where they mean nothing", rule("bind,escalate,impersonate", "pods")),
    left_alone(ESCALATION, "manage roles without the verbs", rule("create,update,patch,delete", "clusterroles", RBAC)),
    left_alone_at_home(ESCALATION, "impersonate users, which no Role can grant", rule("impersonate", "users,groups")),
    to_built_in(ESCALATION, "Kubernetes' own edit in a namespace", "edit", Verdict.PASS),
    defect(
        ESCALATION, "Kubernetes' own edit everywhere",
        binding(FLEET, "edit", account("app"), cluster=True), subject=f"ClusterRoleBinding {FLEET}",
    ),
]  # fmt: skip

SECRETS = "rbac.no-cluster-wide-secret-reads"
SECRET_READS = [
    caught(SECRETS, "list", rule("list", "secrets"), observed="list on secrets"),
    caught(SECRETS, "watch among others", rule("watch", "pods,secrets,configmaps")),
    caught(SECRETS, "read everything of the core group", rule("get,list,watch", "*")),
    caught(SECRETS, "by a group of accounts", rule("get", "secrets"), who=group("system:serviceaccounts:{ns}")),
    caught(SECRETS, "by all nodes", rule("list", "secrets"), who=group("system:nodes"), observed="system:nodes"),
    defect(SECRETS, "through aggregation", *AGGREGATED, subject=f"ClusterRoleBinding {FLEET}"),
    left_alone(SECRETS, "a role without rules"),
    near_miss(
        SECRETS, "a role that does not exist",
        binding(FLEET, FLEET, account("app"), cluster=True), subject=f"ClusterRoleBinding {FLEET}",
    ),
    left_alone(SECRETS, "by name", rule("get", "secrets", resourceNames=["tls"])),
    left_alone(SECRETS, "write only", rule("create,update,delete", "secrets")),
    left_alone(SECRETS, "a resource of another group", rule("get,list", "secrets", "vault.example.com")),
    left_alone(SECRETS, "a subresource of the name", rule("get", "pods/secrets")),
    left_alone(SECRETS, "view, which leaves Secrets out", rule("get,list", "configmaps,services")),
]  # fmt: skip

PODS = "rbac.no-cluster-wide-pod-creation"
POD_CREATION = [
    caught(PODS, "create pods", rule("create", "pods"), observed="create on pods"),
    caught(PODS, "create Deployments", rule("create", "deployments", "apps")),
    caught(PODS, "create CronJobs", rule("create,delete", "cronjobs", "batch")),
    caught(PODS, "exec", rule("create", "pods/exec")),
    caught(PODS, "exec by GET", rule("get", "pods,pods/exec"), observed="get on pods/exec"),
    caught(PODS, "a read-only wildcard that opens exec", rule("get,list,watch", "*")),
    caught(PODS, "exec of every resource", rule("create", "*/exec")),
    caught(PODS, "attach", rule("create", "pods/attach")),
    caught(PODS, "create ReplicationControllers", rule("create", "replicationcontrollers")),
    caught(PODS, "debug containers", rule("patch", "pods/ephemeralcontainers")),
    left_alone(PODS, "read pods and their logs", rule("get,list,watch", "pods,pods/log,pods/status")),
    left_alone(PODS, "evict", rule("create", "pods/eviction")),
    left_alone(PODS, "delete", rule("delete,deletecollection", "pods")),
    left_alone(PODS, "create a resource of that name elsewhere", rule("create", "pods", "metrics.example.com")),
]

CREDENTIALS = "rbac.no-sensitive-subresources"
SUBRESOURCES = [
    caught(CREDENTIALS, "read through nodes/proxy", rule("get", "nodes,nodes/proxy"), observed="nodes/proxy"),
    caught(CREDENTIALS, "make tokens everywhere", rule("create", "serviceaccounts/token")),
    caught(
        CREDENTIALS, "make the tokens of one name everywhere",
        rule("create", "serviceaccounts/token", resourceNames=["default"]),
    ),
    caught(
        CREDENTIALS, "approve certificates",
        rule("update", "certificatesigningrequests/approval", "certificates.k8s.io"),
    ),
    caught_at_home(CREDENTIALS, "make tokens in a namespace", rule("create", "serviceaccounts/token")),
    left_alone(CREDENTIALS, "read metrics of nodes", rule("get", "nodes,nodes/metrics,nodes/stats")),
    left_alone(CREDENTIALS, "ask for certificates", rule("create,get", "certificatesigningrequests", "certificates.k8s.io")),
    left_alone(CREDENTIALS, "create accounts", rule("create", "serviceaccounts")),
    left_alone_at_home(
        CREDENTIALS, "make tokens of a named account", rule("create", "serviceaccounts/token", resourceNames=["vault"])
    ),
    left_alone_at_home(CREDENTIALS, "nodes/proxy, which no Role can grant", rule("get", "nodes/proxy")),
    to_built_in(CREDENTIALS, "Kubernetes' own admin in a namespace", "admin", Verdict.PASS),
]  # fmt: skip

HOOKS = "rbac.no-webhook-configuration-writes"
VALIDATING, MUTATING = "validatingwebhookconfigurations", "mutatingwebhookconfigurations"
WEBHOOKS = [
    caught(HOOKS, "patch all", rule("get,list,patch", VALIDATING, ADMISSION), observed="patch"),
    caught(HOOKS, "create", rule("create", MUTATING, ADMISSION)),
    caught(HOOKS, "delete, which ends a policy", rule("delete", VALIDATING, ADMISSION)),
    left_alone(HOOKS, "its own by name", rule("update,patch", MUTATING, ADMISSION, resourceNames=["injector"])),
    left_alone(HOOKS, "read", rule("get,list,watch", f"{VALIDATING},{MUTATING}", ADMISSION)),
]

VOLUMES = "rbac.no-persistent-volume-creation"
PROVISIONS = (
    rule("get,list,watch,create,delete", "persistentvolumes"),
    rule("get,list,watch,update", "persistentvolumeclaims"),
    rule("get,list,watch", "storageclasses", "storage.k8s.io"),
)
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "{ns}"},
    "provisioner": "csi.example.com",
}
VOLUME_CREATION = [
    caught(VOLUMES, "a tenant", rule("create,get", "persistentvolumes"), observed="create on persistentvolumes"),
    caught(VOLUMES, "rights of a provisioner by wildcard", rule("create,delete,watch", "*", ",storage.k8s.io")),
    left_alone(VOLUMES, "claims only", rule("create,delete", "persistentvolumeclaims")),
    left_alone(VOLUMES, "read volumes", rule("get,list,watch,patch", "persistentvolumes")),
    defect(
        VOLUMES, "a user with a provisioner's rights, where there is a provisioner", CLASS,
        *cluster_wide(*PROVISIONS, who=user("eve")), subject=f"ClusterRoleBinding {FLEET}", alone=True,
    ),
    near_miss(
        VOLUMES, "a dynamic provisioner", CLASS, *cluster_wide(*PROVISIONS),
        subject=f"ClusterRoleBinding {FLEET}", alone=True,
    ),
    defect(
        VOLUMES, "a provisioner's rights without a class", *cluster_wide(*PROVISIONS),
        subject=f"ClusterRoleBinding {FLEET}", alone=True,
    ),
]  # fmt: skip

GROUPS = "rbac.no-default-group-grants"


def for_joining_nodes(name: str, verdict: Verdict, **names: Any) -> Case:
    """What anonymous may read in kube-public."""
    place = {"metadata": {"name": "{ns}", "namespace": "kube-public"}}
    objects = (
        {**role("{ns}", rule("get", "configmaps", **names)), **place},
        {**binding("{ns}", "{ns}", user("system:anonymous")), **place},
    )
    return Case(GROUPS, name, verdict, objects, "RoleBinding kube-public/{ns}", alone=True)


DEFAULT_GROUPS = [
    caught(GROUPS, "everybody logged in", READ_PODS, who=group("system:authenticated"), alone=True),
    caught(GROUPS, "anonymous", READ_PODS, who=user("system:anonymous"), alone=True),
    caught(GROUPS, "unauthenticated", {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, who=group("system:unauthenticated"), alone=True),
    caught(GROUPS, "masters", READ_PODS, who=group("system:masters"), observed="system:masters", alone=True),
    caught_at_home(GROUPS, "everybody in one namespace", READ_PODS, who=group("system:authenticated"), alone=True),
    left_alone(GROUPS, "a group of one's own", READ_PODS, who=group("authenticated"), alone=True),
    left_alone(GROUPS, "the accounts of a namespace", READ_PODS, who=group("system:serviceaccounts:{ns}")),
    left_alone(
        GROUPS, "a group that the policy file declares", READ_PODS, who=group("{ns}-ops"),
        policy={"subjects": {"rbac_exceptions": ["Group {ns}-ops"]}}, verdict=Verdict.NOT_APPLICABLE,
    ),
    for_joining_nodes("cluster-info for joining nodes", Verdict.PASS, resourceNames=["cluster-info"]),
    for_joining_nodes("every ConfigMap of kube-public", Verdict.FAIL),
    defect(
        GROUPS, "a Role that is named like one of Kubernetes' own", role("system:discovery", rule("get", "pods")),
        binding("grant", "system:discovery", group("system:authenticated")), subject="RoleBinding {ns}/grant", alone=True,
    ),
    near_miss(
        GROUPS, "the keys of the token issuer",
        binding(FLEET, "system:service-account-issuer-discovery", group("system:unauthenticated"), cluster=True),
        subject=f"ClusterRoleBinding {FLEET}", alone=True,
    ),
]  # fmt: skip

CASES: list[Case] = [
    *WILDCARDS,
    *CLUSTER_ADMINS,
    *ESCALATIONS,
    *SECRET_READS,
    *POD_CREATION,
    *SUBRESOURCES,
    *WEBHOOKS,
    *VOLUME_CREATION,
    *DEFAULT_GROUPS,
]
