"""What an experiment looks at, as Chaos Toolkit calls it: the steady state by canaries, the failover, the clients'
view.

Each works on the trial that is open in this process (`chaos.trial.current`) and answers plain JSON for the journal. A
probe that does not see what it waits for raises, so that absence never counts as success.
"""

from __future__ import annotations

import time
from typing import Any

from chaos.failover import Failover, LeaseWatch
from chaos.faults import NoTargetError, command_line, members_of
from chaos.lease import crash_bound, retry_period
from chaos.ledger import Ledger
from chaos.prober import KeptAlive, Prober, fresh
from chaos.stream import MissedError
from chaos.trial import CLIENT, Trial, current
from fixtures.limits import (
    CHAOS_FIRST_ACTION,
    CHAOS_LEDGER_INTERVAL,
    CHAOS_OBSERVE,
    CHAOS_POLL_INTERVAL,
    CHAOS_RECOVERED_AFTER,
    CHAOS_STEADY_DEADLINE,
    CHAOS_TAKEOVER_SLACK,
    CHAOS_WRITE_RESUME,
)

ENOUGH_PROBES = 10
"""Successes of every prober before the fault, so that a window has a beginning."""


# The steady state


def api_answers() -> bool:
    """Whether an API server says that it is ready."""
    return current().servers.any(lambda api: api.text("/readyz")) == "ok"


def write_is_acknowledged() -> bool:
    """Whether the API stores a write and reads it back."""
    trial = current()
    entry = f"{time.monotonic_ns()}"
    stored = trial.servers.any(lambda api: api.patch(trial.canary.path, {"data": {"steady": entry}}))
    read = trial.servers.any(lambda api: api.get(trial.canary.path))
    return bool(stored["data"]["steady"] == read["data"]["steady"] == entry)


def deployment_reconciles() -> float:
    """Seconds in which kube-controller-manager makes the Pod of one more replica of the canary Deployment."""
    trial = current()
    asked = trial.canaries.scale()
    return round(trial.canaries.reconciled(asked, asked + CHAOS_STEADY_DEADLINE.value).seconds, 3)


def pod_is_scheduled() -> float:
    """Seconds in which kube-scheduler finds a node for a canary Pod."""
    trial = current()
    name, asked = trial.canaries.pod()
    return round(trial.canaries.scheduled(name, asked, asked + CHAOS_STEADY_DEADLINE.value).seconds, 3)


# The failover of a leader


def calibrate() -> dict[str, Any]:
    """The watch's lag, as the error bar of what is measured with it."""
    trial = current()
    lag = trial.observed.lag = trial.canary.calibrated()
    return {"median_s": round(lag.median, 4), "longest_s": round(lag.longest, 4), "samples": lag.samples}


def watch_lease(component: str) -> dict[str, Any]:
    """Begin to watch a component's Lease, and work out from it how long a failover may last."""
    trial = current()
    apis = trial.servers.apis()
    trial.lease = LeaseWatch(apis, apis[-1], component)
    trial.lease.start()
    record = trial.lease.latest()
    if not record.holder:
        raise NoTargetError(f"nobody holds the Lease of {component}")
    if record.strategy:
        raise NoTargetError(
            f"{component} is elected by strategy {record.strategy!r}: the bound of a plain Lease does not hold for it"
        )
    retries = [retry_period(command_line(member)) for member in members_of(trial.cluster, component)]
    # The slowest standby may be the one that takes over.
    trial.observed.bound = crash_bound(record.duration, max(retries, key=lambda retry: retry.seconds))
    trial.observed.placed = trial.canaries.placed()
    return {"holder": record.holder, "transitions": record.transitions, "bound": str(trial.observed.bound)}


def takeover(component: str) -> dict[str, Any]:
    """Wait for another holder of the Lease, somewhat beyond the bound, so that a late takeover is a number too."""
    trial = current()
    observed, fault = trial.observed, trial.fault
    if trial.lease is None or observed.bound is None or observed.lag is None:
        raise MissedError(f"the Lease of {component} was not watched before the fault")
    before = next(sight.record for sight in reversed(trial.lease.sights()) if sight.at <= fault.proved)
    seen = trial.lease.takeover(before, fault.proved + observed.bound.latest + CHAOS_TAKEOVER_SLACK.value, trial.go_on)
    # The API was there all the while, so every patch since the calibration is a sample of the lag, too.
    observed.lag = trial.canary.lag()
    old = [sight for sight in trial.lease.sights() if sight.record.holder == before.holder]
    late = [
        sight
        for sight in old
        if sight.at > fault.proved + observed.lag.longest and sight.record.renewed > before.renewed
    ]
    observed.failover = Failover(
        component=component,
        before=before,
        after=seen.record if seen else None,
        bound=observed.bound,
        lag=observed.lag,
        fault=fault.proved,
        renewed=old[-1].at,
        taken=seen.at if seen else None,
        acted=None,
        source=seen.source if seen else "",
        renewals_after_fault=len(late),
    )
    return observed.failover.as_json()


def first_action(component: str) -> dict[str, Any]:
    """Wait for the work that was asked for, and look whether Pods that ran before are where they were."""
    trial = current()
    observed = trial.observed
    if trial.asked is None or observed.failover is None:
        raise MissedError(f"{component} was asked for nothing after the fault")
    name, asked = trial.asked
    begin = observed.failover.taken or time.monotonic()
    deadline = begin + CHAOS_FIRST_ACTION.value + CHAOS_TAKEOVER_SLACK.value
    canaries = trial.canaries
    try:
        answered = canaries.scheduled(name, asked, deadline) if name else canaries.reconciled(asked, deadline)
        observed.failover = observed.failover.with_action(answered.seen)
    except MissedError:
        # Not seen is what the property will be judged on; what is known so far stays.
        observed.mark("canary", "no work was done", deadline)
    now = canaries.placed()
    observed.displaced = tuple(uid for uid, node in observed.placed.items() if now.get(uid) != node)
    return observed.failover.as_json()


# What clients see


def watch_servers() -> dict[str, Any]:
    """Begin to probe every API server on new connections, and the one that will be killed on a kept-alive one too."""
    trial = current()
    for server in trial.servers.all:
        trial.probe(f"new connections to {server.name}", Prober(fresh(server.target(trial.canary.path))))
    victim = trial.servers.all[trial.victim]
    trial.probe(
        f"kept-alive connection to {victim.name}", Prober(KeptAlive(victim.target(trial.canary.path)), senders=1)
    )
    return _enough(trial)


def clients_fail_over() -> dict[str, Any]:
    """Watch the clients while the server is away."""
    trial = current()
    end = time.monotonic() + CHAOS_OBSERVE.value
    while time.monotonic() < end:
        trial.go_on()
        time.sleep(CHAOS_POLL_INTERVAL.value)
    found = trial.observed.probers[CLIENT].outage()
    return {"client_window_s": [round(found.lower, 3), round(found.upper, 3)], "failures": found.failures}


def open_ledger() -> dict[str, Any]:
    """Begin to write through every API server, and to remember each write that is acknowledged."""
    trial = current()
    for number, server in enumerate(trial.servers.all):
        lane = f"writes through {server.name}"
        ledger = trial.observed.ledgers[lane] = Ledger(
            server.api, trial.namespace, trial.labels, f"ledger-{trial.run}-{number}"
        )
        trial.probe(lane, Prober(ledger, CHAOS_LEDGER_INTERVAL.value))
    return _enough(trial)


def writes_resume() -> dict[str, Any]:
    """Wait for another etcd leader and for writes through every API server, somewhat beyond the limit."""
    trial = current()
    fault, observed = trial.fault, trial.observed
    deadline = fault.proved + CHAOS_WRITE_RESUME.value + CHAOS_TAKEOVER_SLACK.value
    while time.monotonic() < deadline:
        trial.go_on()
        leader = trial.cluster.etcd_leader()
        # The killed process cannot lead; were it named, the fault would not be what its proof says.
        if leader is not None and leader.pid != fault.member.pid and observed.new_leader is None:
            observed.new_leader = (str(leader), time.monotonic())
            observed.mark("etcd", f"{leader} leads")
        if observed.new_leader and all(_resumed(trial, lane) for lane in observed.ledgers):
            break
        time.sleep(CHAOS_POLL_INTERVAL.value)
    name, at = observed.new_leader or ("", 0.0)
    return {"new_leader": name or None, "new_leader_after_s": round(at - fault.proved, 3) if name else None}


def _resumed(trial: Trial, lane: str) -> bool:
    samples = sorted(trial.observed.probers[lane].samples, key=lambda sample: sample.due)[
        -int(CHAOS_RECOVERED_AFTER.value) :
    ]
    return all(sample.failure is None and sample.due > trial.fault.proved for sample in samples)


def _enough(trial: Trial) -> dict[str, Any]:
    deadline = time.monotonic() + CHAOS_STEADY_DEADLINE.value
    while time.monotonic() < deadline:
        trial.go_on()
        counts = {
            lane: sum(sample.failure is None for sample in prober.samples)
            for lane, prober in trial.observed.probers.items()
        }
        if all(count >= ENOUGH_PROBES for count in counts.values()):
            return {"successes": counts}
        time.sleep(CHAOS_POLL_INTERVAL.value)
    raise MissedError(f"not every prober had {ENOUGH_PROBES} successes before the fault: {counts}")
