"""Planted defects and near misses of the area rbac: the rights of an operator under assessment."""

from __future__ import annotations

from typing import Any

from reports.words import Verdict
from tests.proofs.builders import binding, deployment, named, role, rule, service_account
from tests.proofs.case import Case

Raw = dict[str, Any]
COORDINATION = "coordination.k8s.io"
FULL = "get,list,watch,create,update,patch,delete"
CLUSTER, HOME = "{ns}-operator", "operator"
OPERATOR = (service_account("operator"), deployment("operator", pod={"serviceAccountName": "operator"}))
ACCOUNT = {"kind": "ServiceAccount", "name": "operator", "namespace": "{ns}"}


def everywhere(*rules: Raw) -> tuple[Raw, ...]:
    return role(CLUSTER, *rules, cluster=True), binding(CLUSTER, CLUSTER, ACCOUNT, cluster=True)


def at_home(*rules: Raw) -> tuple[Raw, ...]:
    return role(HOME, *rules), binding(HOME, HOME, ACCOUNT)


def about(property_id: str, name: str, verdict: Verdict, *objects: Raw, observed: str = "", **declared: Any) -> Case:
    """A case about the operator of the case's namespace; `declared` goes into `subjects.operator`."""
    policy = {"subjects": {"operator": {"namespace": "{ns}", "name": "operator", **declared}}}
    return Case(property_id, name, verdict, (*OPERATOR, *objects), "Deployment {ns}/operator", observed, policy=policy)


PASS, FAIL, NOT_APPLICABLE = Verdict.PASS, Verdict.FAIL, Verdict.NOT_APPLICABLE
LEASES = rule(FULL, "leases", COORDINATION)
EVENTS = rule("create,patch", "events")
MAPS = rule(FULL, "configmaps")
LOCK = rule("get,update,patch,delete", "leases", COORDINATION, resourceNames=["lock"])

ELECTION = [
    about("rbac.leader-election-leases", "no right at all", FAIL, observed="denied"),
    about("rbac.leader-election-leases", "in the wrong group", FAIL, *at_home(rule(FULL, "leases"))),
    about("rbac.leader-election-leases", "no update", FAIL, *at_home(rule("get,list,watch,create,patch,delete", "leases", COORDINATION)),
          observed="update leases"),
    about("rbac.leader-election-leases", "everywhere", FAIL, *everywhere(LEASES), observed="ClusterRoleBinding"),
    about("rbac.leader-election-leases", "in kube-system as well", FAIL, *at_home(LEASES),
          {**binding("{ns}", "{ns}", ACCOUNT), "metadata": {"name": "{ns}", "namespace": "kube-system"}},
          {**role("{ns}", LEASES), "metadata": {"name": "{ns}", "namespace": "kube-system"}}, observed="kube-system"),
    about("rbac.leader-election-leases", "at home", PASS, *at_home(LEASES)),
    about("rbac.leader-election-leases", "at home by name", PASS, *at_home(LOCK, rule("create,list,watch", "leases", COORDINATION))),
    about("rbac.leader-election-leases", "at home, read everywhere", PASS, *at_home(LEASES),
          *everywhere(rule("get,list,watch", "leases", COORDINATION))),
    about("rbac.leader-election-leases", "no election", NOT_APPLICABLE, leader_election="none"),
    about("rbac.leader-election-configmaps", "a right left over", FAIL, *at_home(LEASES, MAPS), observed="create"),
    about("rbac.leader-election-configmaps", "by ConfigMap, everywhere", FAIL, *everywhere(MAPS), leader_election="configmaps"),
    about("rbac.leader-election-configmaps", "by Lease", PASS, *at_home(LEASES, rule("get,list,watch", "configmaps"))),
    about("rbac.leader-election-configmaps", "by ConfigMap, at home", PASS, *at_home(MAPS), leader_election="configmaps"),
    about("rbac.leader-election-configmaps", "declared for another use", NOT_APPLICABLE, *at_home(MAPS), writes=["configmaps"]),
    about("rbac.leader-election-configmaps", "no election", NOT_APPLICABLE, *at_home(MAPS), leader_election="none"),
    about("rbac.leader-election-events", "no election", NOT_APPLICABLE, leader_election="none"),
    about("rbac.leader-election-events", "none", FAIL, *at_home(LEASES), observed="denied"),
    about("rbac.leader-election-events", "everywhere", FAIL, *everywhere(EVENTS), observed="ClusterRoleBinding"),
    about("rbac.leader-election-events", "at home", PASS, *at_home(EVENTS)),
    about("rbac.leader-election-events", "at home, in the newer group", PASS, *at_home(rule("create,patch", "events", "events.k8s.io"))),
    about("rbac.leader-election-events", "everywhere, declared", PASS, *everywhere(EVENTS), writes=["events"]),
]  # fmt: skip

READS = "rbac.operator-read-only-cluster-resources"
WRITES = "rbac.operator-scoped-writes"
CORE = "rbac.core-resources-read"
SEE_PODS = rule("get,list,watch", "pods,namespaces,nodes")
OWN = rule(FULL, "widgets", "example.com")
SCOPE = [
    about(READS, "patches pods", FAIL, *everywhere(rule("get,patch", "pods")), observed="patch on pods"),
    about(READS, "writes roles", FAIL, *everywhere(rule("create", "roles", "rbac.authorization.k8s.io"))),
    about(READS, "a wildcard of groups", FAIL, *everywhere(rule("delete", "deployments", "*"))),
    about(READS, "reads all Secrets", FAIL, *everywhere(rule("list", "secrets")), observed="secrets"),
    about(READS, "reads", PASS, *everywhere(SEE_PODS, rule("get,list,watch", "deployments", "apps"))),
    about(READS, "reads one Secret", PASS, *everywhere(rule("get", "secrets", resourceNames=["tls"]))),
    about(READS, "reads all Secrets, with a reason", PASS, *everywhere(rule("list", "secrets")), secrets_reason="copies pull secrets"),
    about(READS, "writes what it declares", PASS, *everywhere(rule("create,patch", "networkpolicies", "networking.k8s.io")),
          writes=["networkpolicies.networking.k8s.io"]),
    about(READS, "writes at home", PASS, *at_home(rule("create,update", "services"))),
    about(WRITES, "ConfigMaps everywhere", FAIL, *everywhere(MAPS), observed="configmaps"),
    about(WRITES, "a wildcard of verbs", FAIL, *everywhere(rule("*", "certificates", "cert-manager.io")), observed="deletecollection"),
    about(WRITES, "another group of a combined rule", FAIL, *everywhere(rule("patch", "widgets,gadgets", "example.com,other.com")),
          own_groups=["example.com"], observed="other.com"),
    about(WRITES, "ConfigMaps of an election, everywhere", FAIL, *everywhere(MAPS), leader_election="configmaps"),
    about(WRITES, "ConfigMaps of an election, at home", PASS, *at_home(MAPS), leader_election="configmaps"),
    about(WRITES, "its own", PASS, *everywhere(OWN, SEE_PODS), *at_home(LEASES, EVENTS), own_groups=["example.com"]),
    about(WRITES, "what it declares, with status", PASS,
          *everywhere(rule("create,update", "certificates,certificates/status", "cert-manager.io")),
          writes=["certificates.cert-manager.io"]),
    about(WRITES, "questions to the authorizer", PASS,
          *everywhere(rule("create", "subjectaccessreviews", "authorization.k8s.io"),
                      rule("create", "tokenreviews", "authentication.k8s.io"))),
    about(WRITES, "events and leases in one rule", PASS, *at_home(rule("create,patch", "events,leases", f",{COORDINATION}"))),
    about(CORE, "deletes pods", FAIL, *everywhere(rule("get,delete", "pods")), observed="delete on pods"),
    about(CORE, "deletes pods at home", FAIL, *at_home(rule("delete", "pods"))),
    about(CORE, "impersonates", FAIL, *everywhere(rule("impersonate", "users"))),
    about(CORE, "all of the core group", FAIL, *everywhere(rule("get,list,watch", "*")), observed="secrets"),
    about(CORE, "reads", PASS, *everywhere(SEE_PODS)),
    about(CORE, "writes Services, declared", PASS, *everywhere(rule("create,patch", "services")), writes=["services"]),
    about(CORE, "writes ConfigMaps and events", PASS, *at_home(MAPS, EVENTS)),
    about(CORE, "patches Deployments in a rule that names pods to read", PASS,
          *everywhere(rule("patch", "deployments", ",apps"), SEE_PODS)),
]  # fmt: skip


def definition(*subresources: str) -> Raw:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": schema,
        "subresources": {one: {} for one in subresources},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    spec = {"group": "{ns}.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return named("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.{ns}.example.com", spec=spec)


MINE: dict[str, Any] = {"own_groups": ["{ns}.example.com"]}
ALL_MINE = (
    rule(FULL, "widgets", "{ns}.example.com"),
    rule("get,update,patch", "widgets/status", "{ns}.example.com"),
    rule("update", "widgets/finalizers", "{ns}.example.com"),
)
POLICIES = rule(FULL, "clusterpolicies,policies", "kyverno.io")
MANAGED = [
    about("rbac.config-maps-crud", "no delete", FAIL,
          *at_home(rule("get,list,watch,create,update,patch", "configmaps")), writes=["configmaps"]),
    about("rbac.config-maps-crud", "everywhere", FAIL, *everywhere(MAPS), writes=["configmaps"], observed="ClusterRoleBinding"),
    about("rbac.config-maps-crud", "at home", PASS, *at_home(MAPS), leader_election="configmaps"),
    about("rbac.config-maps-crud", "no use of them", NOT_APPLICABLE, *at_home(LEASES)),
    about("rbac.leases-crud", "read only", FAIL, *at_home(rule("get,list,watch", "leases", COORDINATION)), observed="denied"),
    about("rbac.leases-crud", "everywhere", FAIL, *everywhere(LEASES)),
    about("rbac.leases-crud", "at home", PASS, *at_home(LEASES)),
    about("rbac.leases-crud", "no election and no right", PASS, leader_election="none"),
    about("rbac.events-create-patch", "no patch", FAIL, *at_home(rule("create", "events"))),
    about("rbac.events-create-patch", "delete as well", FAIL, *everywhere(rule("create,patch,delete", "events")), observed="delete"),
    about("rbac.events-create-patch", "a wildcard of verbs", FAIL, *at_home(rule("*", "events"))),
    about("rbac.events-create-patch", "and read", PASS, *everywhere(rule("get,list,create,patch", "events"))),
    about("rbac.kyverno-policies-crud", "read only", FAIL, *everywhere(rule("get,list,watch", "clusterpolicies,policies", "kyverno.io"))),
    about("rbac.kyverno-policies-crud", "one namespace only", FAIL, *at_home(POLICIES)),
    about("rbac.kyverno-policies-crud", "a wildcard of the group", FAIL, *everywhere(POLICIES, rule("get", "*", "kyverno.io")),
          observed="*.kyverno.io"),
    about("rbac.kyverno-policies-crud", "all verbs by name", PASS, *everywhere(POLICIES)),
    about("rbac.kyverno-policies-crud", "no policies", NOT_APPLICABLE, policies_group=""),
    about("rbac.kspec-crds-crud", "no finalizers", FAIL, definition("status"), *everywhere(*ALL_MINE[:2]), **MINE, observed="update"),
    about("rbac.kspec-crds-crud", "no status", FAIL, definition("status"), *everywhere(ALL_MINE[0], ALL_MINE[2]), **MINE),
    about("rbac.kspec-crds-crud", "rights on CRDs", FAIL, definition("status"),
          *everywhere(*ALL_MINE, rule("patch", "customresourcedefinitions", "apiextensions.k8s.io")), **MINE, observed="patch"),
    about("rbac.kspec-crds-crud", "all of it", PASS, definition("status"), *everywhere(*ALL_MINE), **MINE),
    about("rbac.kspec-crds-crud", "no status subresource", PASS, definition(), *everywhere(ALL_MINE[0], ALL_MINE[2]), **MINE),
    about("rbac.kspec-crds-crud", "reads CRDs", PASS, definition("status"),
          *everywhere(*ALL_MINE, rule("get,list,watch", "customresourcedefinitions", "apiextensions.k8s.io")), **MINE),
    about("rbac.kspec-crds-crud", "not installed", Verdict.NOT_ASSESSED, **MINE),
    about("rbac.kspec-crds-crud", "no group of its own", NOT_APPLICABLE),
]  # fmt: skip

CASES: list[Case] = [*ELECTION, *SCOPE, *MANAGED]
