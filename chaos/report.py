"""From a trial to its timeline."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos.experiment import Plan
from chaos.timeline import Timeline
from chaos.trial import Trial
from fixtures.limits import CHAOS_FAILOVER_TARGET, CHAOS_READ_WINDOW, CHAOS_WRITE_RESUME


def summary(trial: Trial) -> dict[str, Any]:
    """The figures of a trial as plain JSON values, times in seconds; they stand in the journal under `kubeworthy`."""
    observed, balance = trial.observed, trial.observed.balance
    outages = {lane: prober.outage() for lane, prober in observed.probers.items() if prober.samples}
    return {
        "run": trial.run,
        "failover": observed.failover.as_json() if observed.failover else None,
        "watch_lag": asdict(observed.lag) if observed.lag else None,
        "outages": {
            lane: {
                "at_least_s": round(outage.lower, 3),
                "at_most_s": round(outage.upper, 3),
                "windows": len(outage.windows),
                "over": outage.closed,
                "unseen_at_most_s": round(outage.blind, 3),
                "probes": outage.probes,
                "late": outage.late,
                "flaps": outage.flaps,
                "slowest_success_s": round(outage.slowest, 3),
                "failures": outage.failures,
            }
            for lane, outage in outages.items()
        },
        "lost_watch_events": observed.lost_events,
        "watch_breaks": observed.watch_breaks,
        "watch_gaps": observed.watch_gaps,
        "ledger": asdict(balance) if balance else None,
        "displaced_pods": observed.displaced,
    }


def timeline(plan: Plan, trial: Trial) -> Timeline | None:
    """The timeline of a trial whose fault landed; None for any other, since there is no moment to count from."""
    observed = trial.observed
    if not trial.faults or observed.lag is None:
        return None
    zero = trial.fault.proved
    t0 = datetime.now(UTC) - timedelta(seconds=time.monotonic() - zero)
    drawn = Timeline(plan.name, plan.title, zero, observed.lag.longest, t0)
    for at, lane, label in observed.marks:
        drawn.event(at, lane, label)
    for lane, prober in observed.probers.items():
        drawn.outages(lane, prober.outage().windows)
    _leader(drawn, trial)
    component = plan.facts["component"]
    if component == "kube-apiserver":
        drawn.bound(CHAOS_READ_WINDOW.value, "longest outage for a client that fails over")
    if component == "etcd":
        drawn.bound(CHAOS_WRITE_RESUME.value, "writes have to be back")
        if observed.new_leader is not None:
            drawn.window(component, zero, observed.new_leader[1], "leaderless")
    return drawn


def _leader(drawn: Timeline, trial: Trial) -> None:
    failover = trial.observed.failover
    if failover is None:
        return
    lane = failover.component
    drawn.event(failover.renewed, lane, "last renewal of the old leader")
    if failover.taken is not None:
        drawn.event(failover.taken, lane, "another instance holds the Lease")
        drawn.window(lane, failover.renewed, failover.taken, "leaderless")
    if failover.acted is not None:
        drawn.event(failover.acted, lane, "first work of the new leader")
    drawn.bound(failover.bound.earliest, "earliest takeover after a crash")
    drawn.bound(failover.bound.latest, "latest takeover after a crash")
    drawn.bound(CHAOS_FAILOVER_TARGET.value, "target")
