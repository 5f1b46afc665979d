"""Holds what an experiment observed against its limits. Pure: it reads outcomes and says findings, and touches no
cluster.

Three answers are possible for every figure, since a measured time has an error bar and a window two ends: held for
certain, broken for certain, or undecided, which decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chaos.share import clopper_pearson
from chaos.trial import CLIENT
from fixtures.limits import (
    CHAOS_FAILOVER_TARGET,
    CHAOS_FIRST_ACTION,
    CHAOS_READ_WINDOW,
    CHAOS_WRITE_RESUME,
)

if TYPE_CHECKING:
    from chaos.bridge import Outcome
    from chaos.failover import Failover
    from chaos.outage import Outage
    from fixtures.policy import Policy
    from fixtures.readiness import Findings


def conclusive(outcomes: Sequence[Outcome], findings: Findings) -> None:
    """Attach the evidence, end as inconclusive unless every run proved something, and look whether the steady state
    came back.
    """
    for outcome in outcomes:
        for path in outcome.evidence:
            findings.attach(path)
    for outcome in outcomes:
        if outcome.inconclusive:
            findings.inconclusive(outcome.inconclusive)
    if not outcomes:
        findings.inconclusive("the experiment was not run")
    for number, outcome in enumerate(outcomes, 1):
        at = f"steady state after the fault, run {number}"
        findings.expect(not outcome.deviation, at, expected="met", observed=outcome.deviation or "met")


def failover_within_bound(outcomes: Sequence[Outcome], findings: Findings, policy: Policy) -> None:
    """Whether every takeover came within the bound of its Lease, and the new leader's first work soon after."""
    patience = policy.limit(CHAOS_FIRST_ACTION)
    for failover in _failovers(outcomes, findings):
        _figures(failover, findings, failover.bound.latest)
        _expect(failover, findings, failover.bound.latest, f"within the bound ({failover.bound})")
        if failover.taken is None:
            continue
        acted = None if failover.acted is None else failover.acted - failover.taken
        findings.expect(
            acted is not None and acted <= patience,
            f"first work of the new leader of {failover.component}",
            expected=f"at most {patience:g} s after the takeover",
            observed="none" if acted is None else f"{acted:.1f} s after it",
        )
    for outcome in outcomes:
        gone = outcome.observed.displaced
        findings.expect(
            not gone,
            "Pods that had a node",
            expected="keep it",
            observed=f"{len(gone)} were moved or are gone" if gone else "kept",
        )


def failover_within_target(outcomes: Sequence[Outcome], findings: Findings, policy: Policy) -> None:
    """Whether every takeover came within the target, whatever the Lease allows; with several runs, the share too.

    A target is met only where that is proved: a time whose error bar holds the target counts as missed.
    """
    target = policy.limit(CHAOS_FAILOVER_TARGET)
    failovers = _failovers(outcomes, findings)
    for failover in failovers:
        _figures(failover, findings, target)
        _expect(
            failover,
            findings,
            target,
            f"at most {target:g} s (after a crash {failover.bound.earliest:.1f} to {failover.bound.latest:.1f} s)",
            doubt_decides=False,
        )
    if len(failovers) > 1:
        share = clopper_pearson(sum(failover.within(target) == "met" for failover in failovers), len(failovers))
        component = failovers[0].component
        findings.measure(f"{component} takeovers within the target", share.met / share.runs, "")
        findings.measure(f"{component} takeovers within the target, 95 % interval from", share.low, "")
        findings.measure(f"{component} takeovers within the target, 95 % interval to", share.high, "")


def clients_survive(outcomes: Sequence[Outcome], findings: Findings, policy: Policy) -> None:
    """Whether clients went on when an API server was killed: reads, watches, and the other servers."""
    limit = policy.limit(CHAOS_READ_WINDOW)
    for outcome in outcomes:
        observed, killed = outcome.observed, outcome.fault
        assert killed is not None, "a conclusive outcome has a fault"
        victim = killed.member.url.removeprefix("https://")
        struck = False
        for lane, prober in observed.probers.items():
            # Starting the killed server again takes processor time from those that share its machine: not what is judged.
            outage = prober.outage(observed.undo_began)
            findings.measure(f"outage of {lane}, at most", outage.upper, "s", None if victim in lane else limit)
            if victim in lane:
                # This server was killed, so its outage is the fault itself and not judged; without one nothing was
                # shown.
                struck = struck or bool(outage.windows)
                continue
            _window(lane, outage, limit, findings)
        if not struck:
            findings.inconclusive(f"the probes of {victim} never failed, so the fault did not reach what was measured")
        if not observed.watch_breaks:
            findings.inconclusive("no watch was broken by the fault, so it is not known whether one resumes")
        lost = observed.lost_events
        if lost is None:
            findings.inconclusive("the watch's events were not counted")
        findings.expect(
            not lost,
            "a watch on the killed server",
            expected="resumes and loses no event",
            observed=f"lost {len(lost)} events",
        )


def writes_survive(outcomes: Sequence[Outcome], findings: Findings, policy: Policy) -> None:
    """Whether writes came back in time through every API server when the etcd leader was killed, and none was lost."""
    limit = policy.limit(CHAOS_WRITE_RESUME)
    for outcome in outcomes:
        observed = outcome.observed
        assert outcome.fault is not None, "a conclusive outcome has a fault"
        leader = observed.new_leader
        findings.expect(
            leader is not None, "etcd", expected="another member leads", observed=leader[0] if leader else "nobody"
        )
        if leader is not None:
            findings.measure("etcd without a leader, at most", leader[1] - outcome.fault.proved, "s", limit)
        for lane in (CLIENT, *observed.ledgers):
            outage = observed.probers[lane].outage()
            findings.measure(f"outage of {lane}, at most", outage.upper, "s", limit)
            findings.measure(f"slowest success of {lane}", outage.slowest, "s")
            _window(lane, outage, limit, findings)
        balance = observed.balance
        if balance is None or not balance.acknowledged:
            findings.inconclusive("no write was acknowledged, so it is not known whether one would be lost")
        findings.measure("acknowledged writes", balance.acknowledged, "writes")
        findings.measure("writes without an answer", balance.unacknowledged, "writes")
        observed_loss = (
            f"{len(balance.lost)} of {balance.acknowledged} lost, such as {balance.lost[0]}"
            if balance.lost
            else "all are there"
        )
        findings.expect(
            not balance.lost, "acknowledged writes", expected="are there afterwards", observed=observed_loss
        )


def _failovers(outcomes: Sequence[Outcome], findings: Findings) -> list[Failover]:
    failovers = []
    for outcome in outcomes:
        failover = outcome.observed.failover
        if failover is None:
            findings.inconclusive("no failover was measured")
        if failover.renewals_after_fault:
            findings.inconclusive(
                f"the Lease of {failover.component} was renewed by {failover.before.holder} after the fault, "
                "so what was killed did not lead"
            )
        if failover.too_early:
            findings.inconclusive(
                f"{failover.component} was taken over after {failover.seconds:.1f} s, sooner than a crash allows "
                f"({failover.bound}): the Lease was released or taken from a living leader"
            )
        failovers.append(failover)
    return failovers


def _figures(failover: Failover, findings: Findings, limit: float) -> None:
    component = failover.component
    if failover.seconds is not None:
        findings.measure(f"{component} takeover after a crash", failover.seconds, "s", limit)
    if failover.leaderless is not None:
        findings.measure(f"{component} without a renewal", failover.leaderless, "s")
    if failover.to_first_action is not None:
        findings.measure(f"{component} first work after a crash", failover.to_first_action, "s")
    findings.measure(f"{component} error bar (longest lag of the watch)", failover.lag.longest, "s")


def _expect(failover: Failover, findings: Findings, limit: float, expected: str, *, doubt_decides: bool = True) -> None:
    judgement = failover.within(limit)
    if judgement == "undecided" and doubt_decides:
        findings.inconclusive(
            f"{failover.component} was taken over after {failover.seconds:.3f} s, with an error bar of "
            f"{failover.lag.longest:.3f} s, which holds the limit of {limit:g} s"
        )
    seen = (
        "nobody took over"
        if failover.seconds is None
        else f"{failover.seconds:.1f} s, error bar {failover.lag.longest:.2f} s"
    )
    findings.expect(
        judgement == "met", f"takeover of {failover.component} after a crash", expected=expected, observed=seen
    )


def _window(lane: str, outage: Outage, limit: float, findings: Findings) -> None:
    if outage.closed and outage.lower <= limit < outage.upper:
        findings.inconclusive(
            f"the outage of {lane} lasted {outage.lower:.2f} to {outage.upper:.2f} s, "
            f"and the limit of {limit:g} s lies between"
        )
    if outage.closed and outage.upper <= limit < outage.blind:
        findings.inconclusive(
            f"an outage of {lane} of up to {outage.blind:.2f} s would not have been seen, and the limit is {limit:g} s: "
            "the measuring machine is overloaded, or the server stalled"
        )
    failures = ", ".join(f"{count} {failure}" for failure, count in outage.failures.items())
    seen = f"{outage.lower:.2f} to {outage.upper:.2f} s ({failures})" if outage.windows else "none"
    ended = "" if outage.closed else ", not over when the probes ended"
    ok = outage.closed and outage.upper <= limit
    findings.expect(ok, f"outage of {lane}", expected=f"at most {limit:g} s", observed=seen + ended)
