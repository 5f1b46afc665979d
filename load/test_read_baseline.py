"""Whether the API server answers reads fast enough under a steady, declared load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.limits import API_LATENCY_P95, API_SLO_LIST, API_SLO_RESOURCE
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

if TYPE_CHECKING:
    from fixtures.policy import Policy
    from load.conftest import Scenarios


@readiness("success-metrics.api-server-latency", severity="high", ttl="7d", needs=("api",), consent="load")
def test_api_server_latency(cluster: WholeCluster, findings: Findings, policy: Policy, scenarios: Scenarios) -> None:
    """The API server answers within 100 ms at the 95th percentile.

    Why: Every controller, scheduler and user waits for the API server; when reads are slow, everything is late.
    How: An open loop sends GET, LIST and WATCH requests on a fixed schedule, so that a stall counts against every
        request that should have started meanwhile. Latency counts from the intended start. The p95 of each verb,
        resource, scope and reading must be below the target with its whole 95 % confidence interval (order statistics
        and block bootstrap). The API servers' own histogram over the same time, with the writes of all other clients,
        must have 95 % of its requests below the target, too; streams are left out of both.
    Fix: Look for slow etcd disks, large LISTs and slow webhooks; set API Priority and Fairness for noisy clients.
    Does not prove: The latency over a week of real traffic, or at a higher rate than the one that was sent.
    """
    from load import verdict

    baseline = verdict.sent(scenarios.read_baseline, findings)
    verdict.believable(baseline, findings, policy)
    verdict.percentile_within(baseline.rows, 0.95, lambda row: policy.limit(API_LATENCY_P95), findings, baseline.late)
    verdict.server_agrees(baseline, findings, policy)


@readiness("success-metrics.api-server-latency-slo", severity="high", ttl="7d", needs=("api",), consent="load")
def test_api_server_latency_slo(
    cluster: WholeCluster, findings: Findings, policy: Policy, scenarios: Scenarios
) -> None:
    """The API server keeps Kubernetes' own latency objectives for reads.

    Why: Kubernetes promises a p99 of 1 s for one object and 30 s for lists; components are built on that promise.
    How: As success-metrics.api-server-latency, on the same requests: the p99 of each verb, resource and scope, both
        readings together, with its 95 % confidence interval below the objective of its scope.
    Fix: Look for slow etcd disks and large LISTs, and for an API server without CPU or memory to spare.
    Does not prove: The objectives for writes and for starting pods, or over the five-minute windows of the definition.
    """
    from load import verdict

    def objective(scope: str) -> float:
        return policy.limit(API_SLO_RESOURCE if scope == "resource" else API_SLO_LIST)

    baseline = verdict.sent(scenarios.read_baseline, findings)
    verdict.believable(baseline, findings, policy)
    verdict.percentile_within(baseline.merged, 0.99, lambda row: objective(row.scope), findings, baseline.late)
