"""Planted defects and near misses of the area rbac: the identities that workloads run as."""

from __future__ import annotations

from reports.words import Verdict
from tests.proofs.builders import account, bare_pod, binding, cron_job, daemon_set, deployment, rule, service_account
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.cases_rbac import (
    FLEET,
    READ_PODS,
    Raw,
    caught,
    caught_at_home,
    cluster_wide,
    group,
    in_namespace,
    left_alone_at_home,
    user,
)

UNUSED = "rbac.default-service-account-unused"
MOUNTING = {"automountServiceAccountToken": None}
OWN = {"serviceAccountName": "app"}


def projected(audience: str | None) -> Raw:
    token: Raw = {"path": "token", **({"audience": audience} if audience else {})}
    return {"volumes": [{"name": "identity", "projected": {"sources": [{"serviceAccountToken": token}]}}]}


DEFAULTS = [
    defect(UNUSED, "nothing said", deployment(pod=MOUNTING), subject="Deployment {ns}/web", observed="default"),
    defect(UNUSED, "spelt out in a CronJob", cron_job(pod={**MOUNTING, "serviceAccountName": "default"}),
           subject="CronJob {ns}/report"),
    defect(UNUSED, "a volume of its own", deployment(pod=projected(None)), subject="Deployment {ns}/web", observed="volume identity"),
    near_miss(UNUSED, "no token", deployment(), subject="Deployment {ns}/web"),
    near_miss(UNUSED, "a token for a cloud", deployment(pod=projected("sts.amazonaws.com")), subject="Deployment {ns}/web"),
    near_miss(UNUSED, "an account of its own", service_account("app"), deployment(pod={**MOUNTING, **OWN}),
              subject="Deployment {ns}/web"),
    near_miss(UNUSED, "a bare pod without token", bare_pod(), subject="Pod {ns}/lone"),
]  # fmt: skip

UNBOUND = "rbac.default-service-account-unbound"
DEFAULT_BINDINGS = [
    caught_at_home(UNBOUND, "in its namespace", READ_PODS, who=account("default")),
    caught(UNBOUND, "cluster-wide", READ_PODS, who=account("default")),
    caught(UNBOUND, "in kube-system", READ_PODS, who=account("default", "kube-system"), observed="kube-system/default"),
    left_alone_at_home(UNBOUND, "a named account", READ_PODS, who=account("default-reader")),
    left_alone_at_home(UNBOUND, "a user of that name", READ_PODS, who=user("default")),
]

NEEDED = "rbac.token-mounted-only-where-needed"
RUNNING_AS_APP = (service_account("app"), deployment(pod={**MOUNTING, **OWN}))
TOKENS = [
    defect(NEEDED, "an account without rights", *RUNNING_AS_APP, subject="Deployment {ns}/web", observed="automount"),
    defect(
        NEEDED, "rights of another account only", *RUNNING_AS_APP, *in_namespace(READ_PODS, who=account("other")),
        subject="Deployment {ns}/web",
    ),
    defect(NEEDED, "a binding to an empty role", *RUNNING_AS_APP, *in_namespace(), subject="Deployment {ns}/web"),
    defect(NEEDED, "rights of everybody only", *RUNNING_AS_APP, *cluster_wide(READ_PODS, who=group("system:authenticated")),
           subject="Deployment {ns}/web", alone=True),
    near_miss(NEEDED, "rights of its own", *RUNNING_AS_APP, *in_namespace(READ_PODS), subject="Deployment {ns}/web"),
    near_miss(
        NEEDED, "rights of its group", *RUNNING_AS_APP,
        *in_namespace(READ_PODS, who=group("system:serviceaccounts:{ns}")), subject="Deployment {ns}/web",
    ),
    near_miss(
        NEEDED, "switched off on the account", service_account("app", automountServiceAccountToken=False),
        deployment(pod={**MOUNTING, **OWN}), subject="Deployment {ns}/web",
    ),
    defect(
        NEEDED, "switched on again by the pod", service_account("app", automountServiceAccountToken=False),
        deployment(pod={"automountServiceAccountToken": True, **OWN}), subject="Deployment {ns}/web",
    ),
]  # fmt: skip

RISKY = "rbac.service-account-permissions"
RISKS = [
    defect(RISKY, "reads Secrets everywhere", *RUNNING_AS_APP, *cluster_wide(rule("get", "secrets")),
           subject="ServiceAccount {ns}/app", observed="get secrets"),
    defect(RISKY, "through the group of its namespace", *RUNNING_AS_APP,
           *cluster_wide(rule("patch", "nodes"), who=group("system:serviceaccounts:{ns}")),
           subject="ServiceAccount {ns}/app", observed="patch nodes"),
    defect(RISKY, "as cluster-admin", *RUNNING_AS_APP, binding(FLEET, "cluster-admin", account("app"), cluster=True),
           subject="ServiceAccount {ns}/app", observed="escalate"),
    near_miss(RISKY, "reads Secrets in its namespace", *RUNNING_AS_APP, *in_namespace(rule("get,list", "secrets")),
              subject="ServiceAccount {ns}/app"),
    near_miss(RISKY, "reads one Secret everywhere", *RUNNING_AS_APP,
              *cluster_wide(rule("get", "secrets", resourceNames=["tls"])), subject="ServiceAccount {ns}/app"),
    near_miss(RISKY, "declared by the policy file", *RUNNING_AS_APP, *cluster_wide(rule("get", "secrets")),
              subject="ServiceAccount {ns}/app", policy={"subjects": {"rbac_exceptions": ["{ns}/app"]}},
              verdict=Verdict.NOT_APPLICABLE),
]  # fmt: skip

EMPTY = "rbac.empty-cluster-role"
AS_AGENT = (service_account("agent"), daemon_set(pod={"serviceAccountName": "agent"}))
CALLS = {"subjects": {"daemon_sets": {"calls_api": True}}}
AGENTS = [
    defect(EMPTY, "reads nodes", *AS_AGENT, *cluster_wide(rule("get", "nodes"), who=account("agent")),
           subject="DaemonSet {ns}/agent", observed="get on nodes"),
    defect(EMPTY, "through its group, in its namespace", *AS_AGENT,
           *in_namespace(rule("get", "configmaps"), who=group("system:serviceaccounts:{ns}")), subject="DaemonSet {ns}/agent"),
    defect(EMPTY, "through the group of everybody", *AS_AGENT,
           *cluster_wide(rule("get", "nodes"), who=group("system:authenticated")), subject="DaemonSet {ns}/agent", alone=True),
    near_miss(EMPTY, "an empty ClusterRole", *AS_AGENT, *cluster_wide(who=account("agent")), subject="DaemonSet {ns}/agent"),
    near_miss(EMPTY, "rights of an account of the same name elsewhere", *AS_AGENT,
              *cluster_wide(rule("get", "nodes"), who=account("agent", "kube-system")), subject="DaemonSet {ns}/agent"),
    near_miss(EMPTY, "declared to call the API", *AS_AGENT, *cluster_wide(rule("get", "nodes"), who=account("agent")),
              subject="DaemonSet {ns}/agent", policy=CALLS, verdict=Verdict.NOT_APPLICABLE),
    defect("rbac.dedicated-service-account", "default", daemon_set(), subject="DaemonSet {ns}/agent", observed="default"),
    defect("rbac.dedicated-service-account", "shared", *AS_AGENT, deployment(pod={"serviceAccountName": "agent"}),
           subject="DaemonSet {ns}/agent", observed="shared with 1 more"),
    defect("rbac.dedicated-service-account", "missing", daemon_set(pod={"serviceAccountName": "nobody"}),
           subject="DaemonSet {ns}/agent", observed="nobody"),
    near_miss("rbac.dedicated-service-account", "its own, beside others", *AS_AGENT, service_account("web"),
              deployment(pod={"serviceAccountName": "web"}), subject="DaemonSet {ns}/agent"),
    defect("rbac.no-token-automount", "by default", service_account("agent"),
           daemon_set(pod={**MOUNTING, "serviceAccountName": "agent"}), subject="DaemonSet {ns}/agent", observed="automount"),
    near_miss("rbac.no-token-automount", "declared to call the API", service_account("agent"),
              daemon_set(pod={**MOUNTING, "serviceAccountName": "agent"}), subject="DaemonSet {ns}/agent", policy=CALLS,
              verdict=Verdict.NOT_APPLICABLE),
    defect("rbac.no-token-automount", "by a volume", *AS_AGENT[:1], daemon_set(pod={"serviceAccountName": "agent", **projected("vault")}),
           subject="DaemonSet {ns}/agent", observed="identity"),
    near_miss("rbac.no-token-automount", "off on the account", service_account("agent", automountServiceAccountToken=False),
              daemon_set(pod={**MOUNTING, "serviceAccountName": "agent"}), subject="DaemonSet {ns}/agent", pods=True),
    near_miss("rbac.no-token-automount", "off in the template", *AS_AGENT, subject="DaemonSet {ns}/agent", pods=True),
]  # fmt: skip

CASES: list[Case] = [*DEFAULTS, *DEFAULT_BINDINGS, *TOKENS, *RISKS, *AGENTS]
