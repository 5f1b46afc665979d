"""Whether namespaces come complete, and go."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fixtures import limits
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.waiting import await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, WholeCluster

_ENFORCE = "pod-security.kubernetes.io/enforce"


@readiness(
    "tenancy.namespace-lifecycle",
    severity="medium",
    needs=("api",),
    reads=("namespaces",),
    consent="probes",
    uses=(
        "namespaces",
        *(f"{one}:{verb}" for one in ("limitranges", "networkpolicies", "rolebindings") for verb in ("list", "watch")),
        "resourcequotas:list",
        "resourcequotas:watch",
    ),
)
def test_namespaces_come_complete_and_go(
    cluster: WholeCluster, findings: Findings, lab: Workbench, inventory: Reader, policy: Policy
) -> None:
    """Automation completes each new namespace, and deleted ones go away.

    Why: A namespace that somebody has to complete by hand is open until somebody does.
    How: A namespace with the labels of subjects.new_namespace of the policy file is made. Within a minute it holds a
        ResourceQuota, a LimitRange, a NetworkPolicy that denies ingress by default, a RoleBinding and a Pod Security label;
        deleted, it is gone within five minutes. No namespace of the cluster has been ending for more than an hour.
    Fix: Generate these objects by a policy or a tenant operator; repair the API or finalizer that holds a namespace back.
    Does not prove: That existing namespaces were made that way.
    """
    longest = policy.limit(limits.NAMESPACE_TERMINATING)
    for raw in inventory.objects("namespaces"):
        ending = _ending(raw)
        findings.expect(
            ending <= longest,
            f"Namespace {raw['metadata']['name']}",
            expected="gone",
            observed=f"ending for {ending:.0f} s",
        )
    labels = policy.subjects.new_namespace
    if labels is None:
        findings.not_assessed("subjects.new_namespace of the policy file does not say how a namespace is asked for")
    bound, removal = policy.limit(limits.NAMESPACE_COMPLETE), policy.limit(limits.NAMESPACE_REMOVED)
    with lab.place("lifecycle", labels=labels, own=True, standard="") as place:
        findings.measure("completed", _expect_complete(findings, place, bound), "s", bound)
        try:
            findings.measure("removed", place.end(removal), "s", removal)
        except Missed as missed:
            findings.expect(False, "the new namespace", expected=f"gone within {removal:g} s", observed=missed)


def _ending(namespace: Raw) -> float:
    """For how many seconds a namespace has been ending."""
    since = namespace["metadata"].get("deletionTimestamp")
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else 0.0


def _expect_complete(findings: Findings, place: Place, bound: float) -> float:
    """Expect what makes a namespace complete; the seconds until all of it is there."""
    begun = time.monotonic()
    wanted: tuple[tuple[str, str, dict[str, str | int | bool], Callable[[Raw], bool]], ...] = (
        ("a ResourceQuota", place.path("resourcequotas"), {}, _any),
        ("a LimitRange", place.path("limitranges"), {}, _any),
        ("a NetworkPolicy that denies ingress by default", place.path("networkpolicies"), {}, _denies),
        ("a RoleBinding", place.path("rolebindings"), {}, _any),
        ("a Pod Security label", "/api/v1/namespaces", {"fieldSelector": f"metadata.name={place.name}"}, _enforces),
    )
    for name, collection, query, good in wanted:
        left = max(0.0, bound - (time.monotonic() - begun))

        def there(found: Any, good: Callable[[Raw], bool] = good) -> bool | None:
            return True if any(good(one) for one in found.values()) else None

        try:
            await_state(place.api, collection, query, there, left, name)
        except Missed:
            findings.expect(
                False, "the new namespace", expected=f"{name} within {bound:g} s", observed=f"no {name[2:]}"
            )
        else:
            findings.expect(True, "the new namespace", expected=name, observed=name)
    return time.monotonic() - begun


def _any(found: Raw) -> bool:
    """Whether somebody else than this run made an object."""
    return objects.RUN_LABEL not in (found["metadata"].get("labels") or {})


def _denies(policy: Raw) -> bool:
    spec = policy.get("spec") or {}
    every = not any((spec.get("podSelector") or {}).values())
    return every and "Ingress" in (spec.get("policyTypes") or ()) and not spec.get("ingress")


def _enforces(namespace: Raw) -> bool:
    return (namespace["metadata"].get("labels") or {}).get(_ENFORCE) in ("baseline", "restricted")
