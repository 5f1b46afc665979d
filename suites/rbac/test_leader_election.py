"""What leader election takes: rights at home, and only there."""

from __future__ import annotations

from fixtures.rbac import READS
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
from suites.rbac.rights import WRITES

NONE = "subjects.operator.leader_election of the policy file is none"


@readiness("rbac.leader-election-leases", severity="medium", reads=READS)
def test_leases_for_leader_election_at_home(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator manages Leases in its own namespace, and in no other.

    Why: Without the right nobody becomes leader; with it everywhere, the operator can take the leadership of the
    scheduler or make a node look alive.
    How: get, list, watch, create, update, patch and delete on leases for the operator's ServiceAccount and its
    groups; a rule that names the Lease counts, too.
    Fix: Move the rule to a Role in the operator's namespace.
    Does not prove: That the operator uses the Lease (operators.leader-election-lease).
    """
    rights = OperatorRights(operator, inventory)
    if rights.declared.leader_election != "leases":
        findings.not_applicable(f"subjects.operator.leader_election is {rights.declared.leader_election}")
    expect_at_home(rights, findings, FULL, *LEASES)
    expect_not_elsewhere(rights, findings, *LEASES)


@readiness("rbac.leader-election-configmaps", severity="medium", reads=READS)
def test_config_maps_for_leader_election_at_home(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator writes ConfigMaps only where its leader election needs it to.

    Why: A right from the days when leaders were elected by ConfigMap lets the operator change other components.
    How: With leader election by ConfigMap the full verb set at home and no write elsewhere; with Leases no write at
    all on configmaps, unless subjects.operator.writes declares them for another use.
    Fix: Move the rule to a Role in the operator's namespace, or remove it where Leases are used.
    Does not prove: Which ConfigMaps the operator writes.
    """
    rights = OperatorRights(operator, inventory)
    if rights.declared.leader_election == "none":
        findings.not_applicable(NONE)
    if rights.declared.leader_election == "configmaps":
        expect_at_home(rights, findings, FULL, *CONFIG_MAPS)
        expect_not_elsewhere(rights, findings, *CONFIG_MAPS)
        return
    if rights.declares(*CONFIG_MAPS):
        findings.not_applicable("leaders are elected by Lease; subjects.operator.writes declares configmaps")
    held = [verb for verb in WRITES if any(one.rule.covers(verb, *CONFIG_MAPS) for one in rights.grants)]
    findings.expect(not held, "writes on configmaps", expected="none, since Leases are used", observed=held)


@readiness("rbac.leader-election-events", severity="medium", reads=READS)
def test_events_of_leader_election_at_home(operator: Workload, findings: Findings, inventory: Reader) -> None:
    """The operator records its elections as events of its own namespace.

    Why: Without the right an election leaves no trace; with it everywhere, the operator can forge the traces of
    others.
    How: create and patch on events, of the core group or events.k8s.io, at home; no write elsewhere, unless
    subjects.operator.writes declares events, as it does for an operator that reports on objects of all namespaces.
    Fix: Move the rule to a Role in the operator's namespace, or declare events under subjects.operator.writes.
    Does not prove: That the operator records anything.
    """
    rights = OperatorRights(operator, inventory)
    if rights.declared.leader_election == "none":
        findings.not_applicable(NONE)
    for verb in ("create", "patch"):
        findings.expect(
            any(rights.at_home(verb, *events) for events in EVENTS),
            f"{verb} events in {rights.home}",
            expected="allowed",
            observed="denied",
        )
    for events in EVENTS:
        if not rights.declares(*events):
            expect_not_elsewhere(rights, findings, *events)
