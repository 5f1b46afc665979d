"""Whether one pod can take the whole cluster."""

from __future__ import annotations

from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import Question, broken, every_container, expect_refused
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace

Raw = dict[str, Any]
_HUGE = {"cpu": "100k", "memory": "1Ei"}
"""More than any cluster has: 100,000 cores and an exbibyte."""


@readiness("workloads.oversized-pods-refused", severity="medium", needs=("api",), consent="probes", uses=("pods",))
def test_oversized_pods_are_refused(namespace: Namespace, findings: Findings, lab: Workbench) -> None:
    """Every namespace refuses a pod that asks for more than a cluster has.

    Why: A quota that bounds the wrong resource, or a scope that ordinary pods are not in, looks like a bound and is none.
    How: In the namespace, an ordinary pod and two that ask for 100,000 cores and for 1 Ei of memory are created with
        dryRun=All. Whatever refuses those counts: a ResourceQuota, the max of a LimitRange, or a policy.
    Fix: Bound requests.cpu and requests.memory by a ResourceQuota without scopes, or give the LimitRange a max.
    Does not prove: That the bound fits the cluster, nor that many small pods are held back.
    """
    expect_refused(lab, findings, namespace.short_name, [_oversized(resource) for resource in _HUGE])


def _oversized(resource: str) -> Question:
    amount = _HUGE[resource]

    def ask_for(spec: Raw) -> None:
        for container in every_container(spec):
            for part in ("requests", "limits"):
                container["resources"][part][resource] = amount

    return broken(f"{amount} of {resource}", ask_for, lambda spec: False)
