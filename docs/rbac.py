"""The RBAC manifests of the three levels on which a cluster can be judged, made from what the checks declare.

read-only   list what the checks read, everywhere; nothing is made
probes      besides, in one namespace, make and ask the probes that the checks use
chaos       besides, make namespaces, and disrupt: evict, cordon, delete
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import yaml

from fixtures.inventory.kinds import split
from fixtures.lab import objects
from fixtures.readiness import Check

NAMESPACE = "kubeworthy-probes"
NAME = "kubeworthy"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME}
_API = "rbac.authorization.k8s.io/v1"
MAKES = ("create", "delete", "get", "list", "watch")
"""What the lab does with a resource that a check declares in `uses`."""
SUBRESOURCES = {
    "pods/eviction": ("create",),
    "pods/exec": ("create", "get"),
    "pods/log": ("get",),
    "pods/proxy": ("create", "get"),
    "serviceaccounts/token": ("create",),
}
"""The verbs of a subresource: exec over WebSocket is authorized as get, over SPDY as create."""
CLUSTER_SCOPED = frozenset({
    "clusterrolebindings", "clusterroles", "namespaces", "nodes", "persistentvolumes", "priorityclasses", "storageclasses",
    "validatingadmissionpolicies", "validatingadmissionpolicybindings",
})  # fmt: skip

_ABOUT = {
    "read-only": """\
What `pytest --cluster live` needs to judge a cluster without touching it: LIST of what the checks read, and nothing else.
RBAC cannot grant the metadata of Secrets without their values; kubeworthy asks the server for metadata only, and its own
client refuses to send anything else. Who does not want to rely on that removes `secrets`: what needs them is then
not assessed, by name.""",
    "probes": f"""\
What `--consent probes --probe-namespace {NAMESPACE}` needs beside read-only.yaml: rights in one namespace only, and LIST of what
only these checks read. What needs a namespace of its own, or several, is then not assessed, by name.""",
    "chaos": """\
What `--consent probes --consent disruption` needs beside read-only.yaml: namespaces of the run's own, with what is made in
them, and the disruption of nodes and of pods that are not the run's. For clusters that may be disturbed.""",
}


def manifests(checks: Iterable[Check]) -> dict[str, str]:
    """The manifests: path from the root of the project -> text."""
    known = sorted(checks, key=lambda check: check.id)
    reading = [check for check in known if not check.consent]
    probing = [check for check in known if check.consent == "probes"]
    using = [check for check in known if check.consent]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**_named(NAME), "namespace": NAMESPACE}}
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {**_named(NAMESPACE), "labels": {**LABELS, **_RESTRICTED}},
    }
    levels = {
        "read-only": [space, account, *_cluster_wide("read-only", read_rules(reading))],
        "probes": [
            *_inside("probes", use_rules(probing, namespaced=True)),
            *_cluster_wide("probes", read_rules(probing, beside=reading)),
        ],
        "chaos": _cluster_wide("chaos", [*read_rules(using, beside=reading), *use_rules(using)]),
    }
    return {f"deploy/rbac/{level}.yaml": _text(level, documents) for level, documents in levels.items()}


_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def read_rules(checks: Iterable[Check], beside: Iterable[Check] = ()) -> list[dict[str, Any]]:
    """One rule for each API group: the kinds that the checks read and those `beside` them do not, to be listed."""
    groups: dict[str, set[str]] = defaultdict(set)
    for kind in _kinds(checks) - _kinds(beside):
        resource, group = split(kind)
        groups[group].add(resource)
    return [_rule(group, resources, ("list",)) for group, resources in sorted(groups.items())]


def _kinds(checks: Iterable[Check]) -> set[str]:
    return {kind for check in checks for kind in check.all_reads}


def use_rules(checks: Iterable[Check], *, namespaced: bool = False) -> list[dict[str, Any]]:
    """Rules for what the checks use in the lab, one for each API group and set of verbs; `namespaced` leaves the rest out.

    A use is a resource (`pods`), a subresource (`pods/exec`), or either with one verb more (`deployments:patch`).
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for check in checks:
        for use in check.uses:
            resource, _, verb = use.partition(":")
            verbs = (verb,) if verb else SUBRESOURCES.get(resource, MAKES)
            wanted[resource].update(verbs)
    if not namespaced:
        wanted["namespaces"].update(MAKES)
        wanted["resourcequotas"].update({"create"})
        wanted["serviceaccounts"].update({"get", "list", "watch"})
    together: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
    for resource, needed in wanted.items():
        if namespaced and resource.partition("/")[0] in CLUSTER_SCOPED:
            continue
        together[objects.group_of(resource.partition("/")[0]), tuple(sorted(needed))].add(resource)
    return [_rule(group, resources, verbs) for (group, verbs), resources in sorted(together.items())]


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": sorted(resources), "verbs": sorted(verbs)}


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "labels": LABELS}


def _cluster_wide(level: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return _granted("ClusterRole", f"{NAME}-{level}", {}, rules)


def _inside(level: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return _granted("Role", f"{NAME}-{level}", {"namespace": NAMESPACE}, rules)


def _granted(kind: str, name: str, place: dict[str, str], rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    metadata = {**_named(name), **place}
    role = {"apiVersion": _API, "kind": kind, "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": _API,
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    return [role, binding]


def _text(level: str, documents: list[dict[str, Any]]) -> str:
    head = "# Made by python -m docs.generate from what the checks declare.\n#\n"
    head += "".join(f"# {line}\n" for line in _ABOUT[level].splitlines())
    return head + "".join("---\n" + yaml.safe_dump(one, sort_keys=False, width=140) for one in documents)
