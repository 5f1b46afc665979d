"""What the operator under assessment may do: at home, in its own namespace, and anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fixtures.policy import OperatorSubject
from fixtures.rbac import ALL, Grant, Identity, access
from fixtures.readiness import Findings
from fixtures.subjects import Reader, Workload
from fixtures.subjects.access import account_name
from fixtures.subjects.assessed import chosen
from suites.rbac.rights import READS, WRITES, pairs

FULL = (*READS, "create", "update", "patch", "delete")
LEASES = ("leases", "coordination.k8s.io")
CONFIG_MAPS = ("configmaps", "")
EVENTS = (("events", ""), ("events", "events.k8s.io"))

_REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
"""Groups whose objects are questions: a create stores nothing."""


class OperatorRights:
    """The grants of the operator's ServiceAccount and its groups. `declared` is what the policy file says of it."""

    def __init__(self, operator: Workload, inventory: Reader) -> None:
        declared = inventory.scope.subjects.operator
        if declared is None:
            raise ValueError("the policy file names no operator")
        self.declared: OperatorSubject = declared
        self.home = operator.namespace
        self.user = f"system:serviceaccount:{self.home}:{account_name(operator)}"
        self.grants = inventory.derive(access).grants(Identity.of_account(self.home, account_name(operator)))

    def at_home(self, verb: str, resource: str, group: str) -> bool:
        """Whether the verb is granted in the operator's namespace, be it for named objects only."""
        return any(one.reaches(self.home) and one.rule.covers(verb, resource, group) for one in self.grants)

    def everywhere(self, verb: str, resource: str, group: str) -> bool:
        """Whether the verb is granted in all namespaces."""
        return any(one.reaches("") and one.rule.covers(verb, resource, group) for one in self.grants)

    def elsewhere(self, verbs: Iterable[str], resource: str, group: str) -> list[str]:
        """The bindings that grant one of the verbs outside the operator's namespace, with the verbs."""
        found = []
        for one in self.away:
            held = [verb for verb in verbs if one.rule.covers(verb, resource, group)]
            if held:
                found.append(f"{', '.join(held)} by {one.binding}")
        return sorted(set(found))

    @property
    def away(self) -> list[Grant]:
        """The grants that reach beyond the operator's namespace."""
        return [one for one in self.grants if one.namespace != self.home]

    def declares(self, resource: str, group: str) -> bool:
        """Whether `subjects.operator.writes` names the resource (as kubectl does); its subresources go with it."""
        base = resource.partition("/")[0]
        return chosen(self.declared.writes, f"{base}.{group}" if group else base)

    def undeclared_writes(self, grant: Grant) -> Iterator[tuple[str, str]]:
        """Each API group with a write in it that is neither the operator's own, nor declared, nor any operator's."""
        verbs = [verb for verb in WRITES if verb in grant.rule.verbs or ALL in grant.rule.verbs]
        own = {*self.declared.own_groups, self.declared.policies_group, *_REVIEWS}
        for resource, group in pairs(grant.rule) if verbs else ():
            base = (resource.partition("/")[0], group)
            usual = base in EVENTS or base == LEASES or (base == CONFIG_MAPS and self._elects_here(grant))
            if group not in own and not usual and not self.declares(resource, group):
                yield group, f"{', '.join(verbs)} on {resource}{f'.{group}' if group else ''}"

    def _elects_here(self, grant: Grant) -> bool:
        return self.declared.leader_election == "configmaps" and grant.namespace == self.home


def expect_at_home(rights: OperatorRights, findings: Findings, verbs: Iterable[str], resource: str, group: str) -> None:
    """Expect each verb to be granted in the operator's namespace."""
    name = f"{resource}.{group}" if group else resource
    for verb in verbs:
        findings.expect(
            rights.at_home(verb, resource, group),
            f"{verb} {name} in {rights.home}",
            expected="allowed",
            observed="denied",
            look=f"kubectl auth can-i {verb} {name} -n {rights.home} --as={rights.user}",
        )


def expect_not_elsewhere(rights: OperatorRights, findings: Findings, resource: str, group: str) -> None:
    """Expect that no write on the resource reaches beyond the operator's namespace."""
    name = f"{resource}.{group}" if group else resource
    held = rights.elsewhere(WRITES, resource, group)
    findings.expect(not held, f"writes on {name}", expected=f"in namespace {rights.home} only", observed=held)
