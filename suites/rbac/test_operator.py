"""What the operator under assessment may read and write, against what it declares."""

from __future__ import annotations

from fixtures.rbac import ALL
from fixtures.rbac import READS as RBAC_READS
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, Workload
from suites.rbac.operator_rights import (
    CONFIG_MAPS,
    EVENTS,
    FULL,
    LEASES,
    OperatorRights,
    expect_at_home,
    expect_not_elsewhere,
)
from suites.rbac.rights import READS, WRITES, pairs

CLUSTER_GROUPS = ("", "apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io", "policy")
"""The groups that a policy operator only looks at (rbac.operator-read-only-cluster-resources)."""

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
_CRD = ("customresourcedefinitions", "apiextensions.k8s.io")


@readiness("rbac.operator-read-only-cluster-resources", severity="high", reads=RBAC_READS)
def test_operator_only_reads_cluster_resources(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator only reads the cluster's own resources, and no Secrets.

    Why: An operator that may write pods or roles is an administrator; one that reads all Secrets is so as well.
    How: The verbs of every rule that reaches beyond the operator's namespace, on the groups core, apps, batch,
    networking.k8s.io, rbac.authorization.k8s.io and policy. Writes under subjects.operator.writes are declared;
    reading Secrets needs subjects.operator.secrets_reason, or resourceNames.
    Fix: Remove the verbs; read Secrets by name or not at all.
    Does not prove: That what the operator reads it needs.
    """
    rights = OperatorRights(operator, inventory)
    for grant in rights.away:
        writes = [words for group, words in rights.undeclared_writes(grant) if group in (*CLUSTER_GROUPS, ALL)]
        findings.expect(not writes, grant.binding, expected="read verbs only", observed="; ".join(writes))
    _expect_secrets_untouched(rights, findings)
    findings.expect(True, operator, expected="read verbs only", observed="")


def _expect_secrets_untouched(rights: OperatorRights, findings: Findings) -> None:
    for grant in rights.away:
        held = [verb for verb in READS if not grant.rule.names and grant.rule.covers(verb, "secrets")]
        findings.expect(
            not held or bool(rights.declared.secrets_reason),
            grant.binding,
            expected="no read of Secrets, or a reason under subjects.operator.secrets_reason",
            observed=f"{', '.join(held)} on secrets",
        )


@readiness("rbac.operator-scoped-writes", severity="high", reads=RBAC_READS)
def test_operator_writes_only_what_it_declares(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator writes its own resources, its policies and what it declares.

    Why: Whatever else the operator may write, whoever breaks into it may write.
    How: create, update, patch, delete and deletecollection of every rule, against subjects.operator.own_groups,
    policies_group and writes. Events, Leases and reviews (which store nothing) go without saying, and so do
    ConfigMaps at home where leaders are elected by them.
    Fix: Narrow the role, or declare the need under subjects.operator.writes.
    Does not prove: That what is declared is needed.
    """
    rights = OperatorRights(operator, inventory)
    findings.expect(True, operator, expected="declared writes only", observed="")
    for grant in rights.grants:
        writes = [words for _, words in rights.undeclared_writes(grant)]
        findings.expect(not writes, grant.binding, expected="declared writes only", observed="; ".join(writes))


@readiness("rbac.core-resources-read", severity="high", reads=RBAC_READS)
def test_operator_reads_core_resources_only(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """On the core group the operator holds get, list and watch, and nothing else.

    Why: Pods, nodes and Secrets are in the core group; any other verb there changes what runs.
    How: Every rule that is about the core group, without configmaps and events (rbac.config-maps-crud and
    rbac.events-create-patch): verbs beyond get, list and watch that subjects.operator.writes does not declare, and
    reads of Secrets without a reason or resourceNames.
    Fix: Correct the ClusterRole.
    Does not prove: That the operator reads what it needs; a missing right shows in its log.
    """
    rights = OperatorRights(operator, inventory)
    findings.expect(True, operator, expected="get, list, watch", observed="")
    for grant in rights.grants:
        others = [
            resource
            for resource, group in pairs(grant.rule)
            if group in ("", ALL)
            and resource.partition("/")[0] not in ("configmaps", "events")
            and not rights.declares(resource, "")
        ]
        more = sorted(set(grant.rule.verbs) - set(READS)) if others else []
        findings.expect(
            not more,
            grant.binding,
            expected="get, list, watch",
            observed=f"{', '.join(more)} on {', '.join(others)}",
        )
    _expect_secrets_untouched(rights, findings)


@readiness("rbac.config-maps-crud", severity="medium", reads=RBAC_READS)
def test_operator_manages_config_maps_at_home(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """Where the operator uses ConfigMaps, it manages those of its own namespace.

    Why: With fewer verbs than documented it fails at run time; with writes elsewhere it changes other components.
    How: Where leaders are elected by ConfigMap, or subjects.operator.writes names configmaps: get, list, watch,
    create, update, patch and delete at home, and no write elsewhere.
    Fix: Correct the Role; Leases alone are enough for leader election.
    Does not prove: That the operator needs every verb.
    """
    rights = OperatorRights(operator, inventory)
    if rights.declared.leader_election != "configmaps" and not rights.declares(*CONFIG_MAPS):
        findings.not_applicable("subjects.operator declares no use of ConfigMaps, for leader election or under writes")
    expect_at_home(rights, findings, FULL, *CONFIG_MAPS)
    expect_not_elsewhere(rights, findings, *CONFIG_MAPS)


@readiness("rbac.leases-crud", severity="medium", reads=RBAC_READS)
def test_operator_manages_leases_at_home(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator holds the full verb set on the Leases of its own namespace only.

    Why: kube-system holds the Leases of the control plane, kube-node-lease those of the nodes.
    How: get, list, watch, create, update, patch and delete on leases at home, where subjects.operator says that
    leaders are elected by Lease or names them under writes, and no write elsewhere.
    Fix: Correct the Role.
    Does not prove: That the operator needs every verb.
    """
    rights = OperatorRights(operator, inventory)
    if rights.declared.leader_election == "leases" or rights.declares(*LEASES):
        expect_at_home(rights, findings, FULL, *LEASES)
    expect_not_elsewhere(rights, findings, *LEASES)


@readiness("rbac.events-create-patch", severity="low", reads=RBAC_READS)
def test_operator_adds_to_the_trail_only(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator creates and patches events, and can neither replace nor delete any.

    Why: Events are the operator's audit trail; what can delete them can cover its tracks.
    How: create and patch at home on events of the core group or of events.k8s.io; update, delete and
    deletecollection on either, anywhere, are too much. Reading is left alone.
    Fix: Grant create and patch only.
    Does not prove: That the operator records what it does, or that events are kept.
    """
    rights = OperatorRights(operator, inventory)
    for verb in ("create", "patch"):
        findings.expect(
            any(rights.at_home(verb, *events) for events in EVENTS),
            f"{verb} events in {rights.home}",
            expected="allowed",
            observed="denied",
        )
    for grant in rights.grants:
        more = [
            verb
            for verb in ("update", "delete", "deletecollection")
            if any(grant.rule.covers(verb, *events) for events in EVENTS)
        ]
        seen = f"{', '.join(more)} on events"
        findings.expect(not more, grant.binding, expected="create and patch only", observed=seen)


@readiness("rbac.kyverno-policies-crud", severity="medium", reads=RBAC_READS)
def test_operator_manages_policies(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator holds the full verb set on the policies that it generates, by name.

    Why: With a read-only role nothing is enforced, which nobody notices; a wildcard on the group includes
    exceptions.
    How: get, list, watch, create, update, patch and delete on clusterpolicies and policies of
    subjects.operator.policies_group in all namespaces, granted by rules that spell out the resources.
    Fix: List clusterpolicies and policies with their verbs in the ClusterRole.
    Does not prove: That the policies are enforced.
    """
    rights = OperatorRights(operator, inventory)
    group = rights.declared.policies_group
    if not group:
        findings.not_applicable("subjects.operator.policies_group of the policy file is empty: it makes no policies")
    for resource in ("clusterpolicies", "policies"):
        for verb in FULL:
            findings.expect(
                rights.everywhere(verb, resource, group),
                f"{verb} {resource}.{group}",
                expected="allowed in all namespaces",
                observed="denied",
            )
    wild = [one for one in rights.grants if group in one.rule.groups and ALL in one.rule.resources]
    findings.expect(
        not wild,
        f"rules on {group}",
        expected="resources by name",
        observed=[f"{one.rule} by {one.binding}" for one in wild],
    )


@readiness("rbac.kspec-crds-crud", severity="low", reads=(*RBAC_READS, CRDS))
def test_operator_manages_its_own_resources(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator holds the full verb set on its own resources, not on their CRDs.

    Why: A missing right shows only when the operator first needs it; one that writes CRDs can delete every object.
    How: For each CustomResourceDefinition of subjects.operator.own_groups: get, list, watch, create, update, patch
    and delete, get, update and patch of status where it is a subresource, and update of finalizers. No write on
    customresourcedefinitions.
    Fix: Correct the ClusterRole; let the installation apply the CRDs.
    Does not prove: That the operator uses what it holds.
    """
    rights = OperatorRights(operator, inventory)
    groups = rights.declared.own_groups
    if not groups:
        findings.not_applicable("subjects.operator.own_groups of the policy file names no API group")
    held = [verb for verb in WRITES if any(one.rule.covers(verb, *_CRD) for one in rights.grants)]
    findings.expect(not held, CRDS, expected="no write", observed=held)
    own = [raw["spec"] for raw in inventory.objects(CRDS) if raw.get("spec", {}).get("group") in groups]
    if not own:
        findings.not_assessed(f"no CustomResourceDefinition of {', '.join(groups)} is installed")
    for spec in own:
        plural, group = spec["names"]["plural"], spec["group"]
        wanted = {plural: FULL, f"{plural}/finalizers": ("update",)}
        if any((version.get("subresources") or {}).get("status") is not None for version in spec.get("versions") or ()):
            wanted[f"{plural}/status"] = ("get", "update", "patch")
        reach = rights.everywhere if spec.get("scope") == "Cluster" else rights.at_home
        for resource, verbs in wanted.items():
            missing = [verb for verb in verbs if not reach(verb, resource, group)]
            findings.expect(
                not missing, f"{resource}.{group}", expected=", ".join(verbs), observed=f"denied: {', '.join(missing)}"
            )
