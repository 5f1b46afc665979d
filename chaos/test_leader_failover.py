"""Whether a standby takes over when a leader of the control plane dies, and how soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

if TYPE_CHECKING:
    from chaos.conftest import Experiments
    from fixtures.policy import Policy

NEEDS = ("api", "processes")


@readiness(
    "high-availability.controller-manager-failover", severity="critical", ttl="30d", needs=NEEDS, consent="disruption"
)
def test_controller_manager_failover(
    cluster: WholeCluster, findings: Findings, experiments: Experiments, policy: Policy
) -> None:
    """Another kube-controller-manager takes over within the bound of its Lease.

    Why: While nobody leads, no Pod is replaced, no endpoint updated and no node declared lost. How long that may last
        follows from the Lease's duration L and the retry period R of the cluster itself: after a crash L - R to L + 4.4
        R.
    How: The leader is killed with SIGKILL, and its process proved gone. The Lease is watched, and polled each 100 ms,
        for another holder; a Deployment that is scaled right after the kill shows the first work of the new leader. The
        watch's lag is the error bar.
    Fix: Run at least two instances of kube-controller-manager with --leader-elect, on machines with working clocks;
        look into the standby's log for why it did not take the Lease.
    Does not prove: Failover when a machine loses its network or power, and a leader that hangs instead of dying.
    """
    from chaos import judge

    outcomes = experiments.outcomes("controller-manager-failover")
    judge.conclusive(outcomes, findings)
    judge.failover_within_bound(outcomes, findings, policy)


@readiness(
    "high-availability.controller-manager-failover-target",
    severity="medium",
    ttl="30d",
    needs=NEEDS,
    consent="disruption",
)
def test_controller_manager_failover_target(
    cluster: WholeCluster, findings: Findings, experiments: Experiments, policy: Policy
) -> None:
    """Another kube-controller-manager takes over a crashed leader within 15 s.

    Why: A target of 15 s is asked for in many requirements, and the default settings do not promise it: with a lease of
        15 s and a retry period of 2 s a crash takes 13 to 24 s, and only one in ten comes in under 15 s. A single run
        that does is luck.
    How: The takeover that was measured for high-availability.controller-manager-failover is held against the target.
        With several runs (threshold chaos.repeats) every one must meet it, and the share that did is given with its
        Clopper-Pearson interval.
    Fix: Shorten the lease: --leader-elect-lease-duration=8s --leader-elect-renew-deadline=6s
        --leader-elect-retry-period=1s bounds a crash at 12.4 s, for twice as many writes. A released lease (at most 4.4
        s) covers a planned restart only.
    Does not prove: That the next crash meets the target, unless the bound itself is below it.
    """
    from chaos import judge

    outcomes = experiments.outcomes("controller-manager-failover")
    judge.conclusive(outcomes, findings)
    judge.failover_within_target(outcomes, findings, policy)


@readiness("high-availability.scheduler-failover", severity="critical", ttl="30d", needs=NEEDS, consent="disruption")
def test_scheduler_failover(
    cluster: WholeCluster, findings: Findings, experiments: Experiments, policy: Policy
) -> None:
    """Another kube-scheduler takes over within the bound of its Lease.

    Why: While nobody leads, no Pod gets a node: what was evicted or scaled up stays Pending. How long that may last
        follows from the Lease's duration L and the retry period R of the cluster itself: after a crash L - R to L + 4.4
        R.
    How: The leader is killed with SIGKILL, and its process proved gone. The Lease is watched, and polled each 100 ms,
        for another holder; a Pod that is created right after the kill shows the first work of the new leader by getting
        a node. Pods that had a node must keep it. The watch's lag is the error bar.
    Fix: Run at least two instances of kube-scheduler with --leader-elect; look into the standby's log for why it did
        not take the Lease.
    Does not prove: Failover when a machine loses its network or power, and a leader that hangs instead of dying.
    """
    from chaos import judge

    outcomes = experiments.outcomes("scheduler-failover")
    judge.conclusive(outcomes, findings)
    judge.failover_within_bound(outcomes, findings, policy)


@readiness(
    "high-availability.scheduler-failover-target", severity="medium", ttl="30d", needs=NEEDS, consent="disruption"
)
def test_scheduler_failover_target(
    cluster: WholeCluster, findings: Findings, experiments: Experiments, policy: Policy
) -> None:
    """Another kube-scheduler takes over a crashed leader within 15 s.

    Why: A target of 15 s is asked for in many requirements, and the default settings do not promise it: with a lease of
        15 s and a retry period of 2 s a crash takes 13 to 24 s, and only one in ten comes in under 15 s. A single run
        that does is luck.
    How: The takeover that was measured for high-availability.scheduler-failover is held against the target. With
        several runs (threshold chaos.repeats) every one must meet it, and the share that did is given with its
        Clopper-Pearson interval.
    Fix: Shorten the lease in the scheduler's configuration, leaderElection: leaseDuration 8s, renewDeadline 6s,
        retryPeriod 1s bound a crash at 12.4 s, for twice as many writes. A released lease (at most 4.4 s) covers a
        planned restart only.
    Does not prove: That the next crash meets the target, unless the bound itself is below it.
    """
    from chaos import judge

    outcomes = experiments.outcomes("scheduler-failover")
    judge.conclusive(outcomes, findings)
    judge.failover_within_target(outcomes, findings, policy)
