"""The rights that make their holder an administrator, and how a binding is searched for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fixtures.inventory import KINDS
from fixtures.rbac import ALL, GROUP, Access, Rule
from fixtures.readiness import Findings
from fixtures.subjects import Binding

WRITES = ("create", "update", "patch", "delete", "deletecollection")
READS = ("get", "list", "watch")

_BUILT_IN: dict[str, set[str]] = defaultdict(set)
for _kind in KINDS.values():
    _BUILT_IN[_kind.group].add(_kind.resource)


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on one resource. `bounded` says that a rule which names its objects is harmless."""

    verbs: tuple[str, ...]
    resource: str
    group: str = ""
    bounded: bool = False

    def within(self, rule: Rule) -> str:
        """What of this right the rule grants ("get, list on secrets"), "" for nothing."""
        if rule.names and self.bounded:
            return ""
        verbs = [verb for verb in self.verbs if rule.covers(verb, self.resource, self.group)]
        if not verbs:
            return ""
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        named = f" named {', '.join(rule.names)}" if rule.names else ""
        return f"{', '.join(verbs)} on {resource}{named}"


_WORKLOADS = {"apps": ("deployments", "statefulsets", "daemonsets", "replicasets"), "batch": ("jobs", "cronjobs")}
_ADMISSION = "admissionregistration.k8s.io"

SECRET_READS = (Right(READS, "secrets", bounded=True),)

POD_CREATION = (
    Right(("create",), "pods"),
    # A websocket opens exec and attach with GET, so that a role of plain read verbs on everything runs commands.
    Right(("create", "get"), "pods/exec"),
    Right(("create", "get"), "pods/attach"),
    Right(("update", "patch"), "pods/ephemeralcontainers"),
    Right(("create",), "replicationcontrollers"),
    *(Right(("create",), resource, group) for group, resources in _WORKLOADS.items() for resource in resources),
)

CLUSTER_SUBRESOURCES = (
    Right(("get", "create", "update", "patch", "delete"), "nodes/proxy"),
    Right(("update", "patch"), "certificatesigningrequests/approval", "certificates.k8s.io"),
    Right(("create",), "serviceaccounts/token"),
)
TOKENS = (Right(("create",), "serviceaccounts/token", bounded=True),)

WEBHOOK_WRITES = tuple(
    Right(WRITES, resource, _ADMISSION, bounded=True)
    for resource in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
)
VOLUME_CREATION = (Right(("create",), "persistentvolumes"),)

ESCALATE = Right(("escalate",), "roles", GROUP)
ESCALATE_CLUSTER = Right(("escalate",), "clusterroles", GROUP)
BIND = (Right(("bind",), "roles", GROUP), Right(("bind",), "clusterroles", GROUP))
IMPERSONATE_ACCOUNTS = Right(("impersonate",), "serviceaccounts")
IMPERSONATE_CLUSTER = (
    Right(("impersonate",), "users"),
    Right(("impersonate",), "groups"),
    Right(("impersonate",), "uids", "authentication.k8s.io"),
)


def found(rule: Rule, rights: Iterable[Right]) -> str:
    """What of the rights the rule grants, for people; "" for nothing."""
    return "; ".join(part for part in (right.within(rule) for right in rights) if part)


def forbid(binding: Binding, findings: Findings, expected: str, look: Callable[[Rule], str]) -> None:
    """Expect that no rule of the binding's role grants what `look` finds in it ("" for nothing)."""
    require_holders(binding, findings)
    if not binding.rules:
        findings.expect(True, binding, expected=expected, observed="")
    for rule in binding.rules:
        granted = look(rule)
        findings.expect(
            not granted,
            binding.role,
            expected=expected,
            observed=f"{binding.who}: {granted}",
            look=f"kubectl get {binding.role.lower().replace(' ', '/')} {_place(binding)}-o yaml",
        )


def _place(binding: Binding) -> str:
    return f"-n {binding.namespace} " if binding.role.startswith("Role ") else ""


def require_holders(binding: Binding, findings: Findings) -> None:
    """End the check where nobody is left to judge: the policy file declares the holders, or they are the platform."""
    if binding.excepted and not binding.holders:
        excepted = ", ".join(str(holder) for holder in binding.excepted)
        findings.not_applicable(f"subjects.rbac_exceptions of the policy file declares {excepted}")
    if not binding.holders:
        findings.not_applicable("the binding names nobody but the platform itself")


def wildcards(rule: Rule) -> str:
    """The fields of a rule that hold `*`, "" where none does."""
    fields = {
        "verbs": rule.verbs,
        "apiGroups": rule.groups,
        "resources": rule.resources,
        "nonResourceURLs": rule.urls,
    }
    wild = [name for name, values in fields.items() if ALL in values]
    return f"`*` in {', '.join(wild)} ({rule})" if wild else ""


def pairs(rule: Rule) -> Iterator[tuple[str, str]]:
    """The resources and groups that a rule is about, without the pairs of a combined rule that no server has.

    A rule on deployments and pods of the groups "" and apps is about deployments.apps, and about no core deployments.
    """
    for group in rule.groups:
        for resource in rule.resources:
            base = resource.partition("/")[0]
            if base in _BUILT_IN.get(group, ()) or not any(base in _BUILT_IN.get(one, ()) for one in rule.groups):
                yield resource, group


def grants_everything(access: Access, kind: str, namespace: str, name: str) -> bool:
    """Whether a role allows every verb on every resource of every group."""
    rules = access.rules_of(kind, namespace, name)
    return any(ALL in rule.verbs and ALL in rule.resources and ALL in rule.groups for rule in rules)
