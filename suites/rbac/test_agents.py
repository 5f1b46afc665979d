"""The identity of the node agents under assessment."""

from __future__ import annotations

from collections import Counter

from fixtures.policy import Policy
from fixtures.rbac import READS, access
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, Workload, all_workloads
from fixtures.subjects.access import account_name, accounts_by_name
from fixtures.subjects.workload import READS as WORKLOAD_READS
from suites.rbac.accounts import mounts_by_default, own_grants, token_volumes

CALLS_API = "subjects.daemon_sets.calls_api of the policy file declares that the agent calls the API"


def account_users(reader: Reader) -> Counter[tuple[str, str]]:
    """How many workloads run as each ServiceAccount, by namespace and name."""
    every = reader.derive(all_workloads)
    return Counter((one.namespace, account_name(one)) for one in every if one.kind != "Pod" or not one.pods[0].ended)


@readiness("rbac.empty-cluster-role", severity="high", reads=READS)
def test_agents_may_do_nothing(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The agent's ServiceAccount holds no right on the Kubernetes API.

    Why: The agent runs on every node, so that one broken node gives away whatever its account may do.
    How: The rules of all bindings to the account and to its groups, aggregated ones included, beyond the roles that
    every identity holds.
    Fix: Empty the ClusterRole's rules, or delete the binding.
    Does not prove: That another authorizer than RBAC grants nothing.
    """
    if policy.subjects.daemon_sets.calls_api:
        findings.not_applicable(CALLS_API)
    name = account_name(daemon_set)
    grants = own_grants(inventory.derive(access), daemon_set.namespace, name)
    if not grants:
        findings.expect(True, daemon_set, expected="no rule", observed="")
    for grant in grants:
        where = f" in namespace {grant.namespace}" if grant.namespace else ""
        findings.expect(False, grant.binding, expected="no rule", observed=f"{grant.role}: {grant.rule}{where}")


@readiness("rbac.dedicated-service-account", severity="medium", reads=("serviceaccounts", *WORKLOAD_READS))
def test_agents_run_as_an_account_of_their_own(daemon_set: Workload, findings: Findings, inventory: Reader) -> None:
    """The agent runs as a ServiceAccount that exists and that nothing else runs as.

    Why: A shared identity cannot be told apart in the audit log, and holds the rights of all who share it.
    How: serviceAccountName of the template (absent means default), the ServiceAccount object, and the accounts of
    all other workloads of the namespace, bare pods and Jobs included.
    Fix: Create a ServiceAccount for the DaemonSet and set serviceAccountName.
    Does not prove: That nobody makes a token of the account by hand.
    """
    name = account_name(daemon_set)
    key = (daemon_set.namespace, name)
    at = "spec.template.spec.serviceAccountName"
    findings.expect(name != "default", at, expected="an account of its own", observed=name)
    findings.expect(key in inventory.derive(accounts_by_name), at, expected="an account that exists", observed=name)
    others = inventory.derive(account_users)[key] - 1
    shared = f"{name}, shared with {others} more"
    findings.expect(others <= 0, at, expected="no other workload runs as it", observed=shared)


@readiness("rbac.no-token-automount", severity="high", reads=("serviceaccounts",))
def test_agents_carry_no_token(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """No ServiceAccount token is mounted into the agent's pods.

    Why: A token on every node is a credential that any broken node gives away.
    How: automountServiceAccountToken of the pod template, else of the ServiceAccount, else true; and the projected
    token volumes of the template and of each live pod, whatever their audience.
    Fix: Set automountServiceAccountToken: false on the ServiceAccount and in the template, then roll the pods.
    Does not prove: That no Secret of the old token type is mounted.
    """
    if policy.subjects.daemon_sets.calls_api:
        findings.not_applicable(CALLS_API)
    account = inventory.derive(accounts_by_name).get((daemon_set.namespace, account_name(daemon_set))) or {}
    findings.expect(
        not mounts_by_default(daemon_set, account),
        "spec.template.spec.automountServiceAccountToken",
        expected="false, here or on the ServiceAccount",
        observed=daemon_set.pod_spec.get("automountServiceAccountToken"),
    )
    pods = [(f"pod {pod.short_name} spec", pod.spec) for pod in daemon_set.pods]
    for place, spec in [("spec.template.spec", daemon_set.pod_spec), *pods]:
        volumes = [name for name, _ in token_volumes(spec)]
        findings.expect(not volumes, f"{place}.volumes", expected="no serviceAccountToken", observed=volumes)
