"""The share of the cluster that a namespace may take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fixtures import limits
from fixtures.policy import Policy
from fixtures.quantities import quantity
from fixtures.readiness import Findings, readiness
from fixtures.resources import NO_DEFAULTS, limit_range_defaults
from fixtures.subjects import Namespace, Raw, Reader

QUOTAS = "resourcequotas"
CLUSTER_QUOTAS = "clusterresourcequotas.quota.openshift.io"

BOUNDED: Mapping[str, tuple[str, ...]] = {
    "requests.cpu": ("requests.cpu", "cpu"),
    "requests.memory": ("requests.memory", "memory"),
    "limits.memory": ("limits.memory",),
    "pods": ("pods", "count/pods"),
}
"""What a namespace's quotas have to bound, and the names under which a ResourceQuota may spell it."""


@readiness("workloads.namespace-quotas", severity="medium", reads=(QUOTAS,))
def test_namespaces_have_quotas(namespace: Namespace, findings: Findings, inventory: Reader) -> None:
    """Every workload namespace bounds its CPU, memory and pods by a quota.

    Why: without a quota one namespace can take the whole cluster, by mistake or by an attack.
    How: the ResourceQuotas of the namespace bound requests.cpu, requests.memory, limits.memory and pods. A quota with
    scopes bounds some pods only and does not count. Where OpenShift's ClusterResourceQuotas are served they may bound
    the namespace from outside, and a gap is not assessed.
    Fix: create a ResourceQuota with `hard: {requests.cpu, requests.memory, limits.memory, pods}`.
    Does not prove: that the sum of the quotas fits the cluster.
    """
    bounded: set[str] = set()
    for raw in inventory.derive(quotas_by_namespace).get(namespace.short_name, ()):
        spec = raw.get("spec") or {}
        if not spec.get("scopes") and not spec.get("scopeSelector"):
            bounded.update(spec.get("hard") or {})
    missing = [name for name, spellings in BOUNDED.items() if bounded.isdisjoint(spellings)]
    if missing and inventory.served(CLUSTER_QUOTAS):
        findings.not_assessed(f"no ResourceQuota bounds {', '.join(missing)}; a ClusterResourceQuota may, unseen here")
    for name in BOUNDED:
        findings.expect(name not in missing, f"ResourceQuota {name}", expected="bounded", observed="not bounded")


@readiness("workloads.namespace-limit-ranges", severity="medium", reads=("limitranges",))
def test_namespaces_have_limit_ranges(namespace: Namespace, findings: Findings, inventory: Reader) -> None:
    """Every workload namespace gives defaults to containers that name no resources.

    Why: under a quota a container without requests and limits is refused, and without one it is unbounded.
    How: the LimitRanges of the namespace give containers a default memory limit and default CPU and memory requests.
    Fix: create a LimitRange of type Container with `default` and `defaultRequest` for cpu and memory.
    Does not prove: that the defaults fit.
    """
    defaults = inventory.derive(limit_range_defaults).get(namespace.short_name, NO_DEFAULTS)
    for at, given, name in (
        ("default.memory", defaults.limits, "memory"),
        ("defaultRequest.cpu", defaults.requests, "cpu"),
        ("defaultRequest.memory", defaults.requests, "memory"),
    ):
        findings.expect(name in given, f"LimitRange {at}", expected="a default", observed=given.get(name))


@readiness("workloads.quota-headroom", severity="medium", reads=(QUOTAS,), ttl="1d")
def test_quotas_have_headroom(namespace: Namespace, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """Every quota of a workload namespace has headroom left.

    Why: in a namespace at its quota the next rollout, or the replacement of a lost pod, is refused.
    How: status.used of each ResourceQuota is at most 90 % of status.hard, resource by resource.
    Fix: raise the quota, or lower the requests of what runs there.
    Does not prove: that a burst fits into what is left.
    """
    every = inventory.derive(quotas_by_namespace).get(namespace.short_name, ())
    quotas = [raw for raw in every if (raw.get("spec") or {}).get("hard")]
    if not quotas:
        findings.not_applicable("the namespace has no ResourceQuota that bounds anything")
    share = policy.limit(limits.QUOTA_USED)
    for raw in quotas:
        name = str(raw["metadata"]["name"])
        status = raw.get("status") or {}
        used, hard = status.get("used") or {}, status.get("hard") or {}
        if not hard or hard.keys() - used.keys():
            findings.not_assessed(f"the controller has not yet counted what ResourceQuota {name} bounds")
        for resource in sorted(hard):
            _expect_headroom(findings, f"ResourceQuota {name} {resource}", used[resource], hard[resource], share)


def quotas_by_namespace(reader: Reader) -> Mapping[str, tuple[Raw, ...]]:
    """The ResourceQuotas of each namespace."""
    found: dict[str, list[Raw]] = defaultdict(list)
    for raw in reader.objects(QUOTAS):
        found[str(raw["metadata"].get("namespace", ""))].append(raw)
    return {namespace: tuple(raws) for namespace, raws in found.items()}


def _expect_headroom(findings: Findings, at: str, used: Any, hard: Any, share: float) -> None:
    ok = quantity(used) <= quantity(hard) * quantity(share)
    findings.expect(ok, at, expected=f"at most {share:.0%} of {hard}", observed=used)
