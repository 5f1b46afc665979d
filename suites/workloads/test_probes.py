"""The timing of the assessed DaemonSet's probes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from statistics import median

from fixtures import limits
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Container, Node, Pod, Raw, Reader, Workload

LIVENESS = "livenessProbe"
READINESS = "readinessProbe"


@readiness("workloads.liveness-probe-timing", severity="medium")
def test_liveness_probes_are_patient_but_not_blind(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """A liveness probe's timing neither kills slow starters nor hides hangs.

    Why: an impatient probe restarts a healthy program under load, and a lazy one leaves a hanging program in service.
    How: of each liveness probe of the DaemonSet under assessment: timeoutSeconds is at most periodSeconds,
    periodSeconds times failureThreshold is from 20 s to 300 s, and a startupProbe or an initialDelaySeconds covers
    the start. Defaults are 1, 10, 3 and 0.
    Fix: tune periodSeconds, failureThreshold and timeoutSeconds, and add a startupProbe.
    Does not prove: that the probe notices a hang.
    """
    least, most = policy.limit(limits.LIVENESS_BUDGET_MIN), policy.limit(limits.LIVENESS_BUDGET_MAX)
    probes = list(_probes(daemon_set, LIVENESS))
    if not probes:
        findings.not_applicable("no container has a liveness probe")
    for container, probe in probes:
        _expect_timeout(findings, container, LIVENESS, probe)
        budget = _budget(probe)
        at = f"{container}.{LIVENESS}"
        findings.expect(least <= budget <= most, at, expected=f"from {least:g} s to {most:g} s", observed=f"{budget} s")
        covered = bool(container.probe("startupProbe")) or int(probe.get("initialDelaySeconds") or 0) > 0
        findings.expect(covered, at, expected="a startupProbe or an initialDelaySeconds", observed="neither")


@readiness("workloads.readiness-probe-timing", severity="medium")
def test_readiness_probes_act_before_liveness(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """A readiness probe takes a failing pod out of rotation before liveness kills it.

    Why: a pod that cannot serve has to lose its traffic first and its life second.
    How: of each readiness probe of the DaemonSet under assessment: timeoutSeconds is at most periodSeconds, and
    periodSeconds times failureThreshold is at most 60 s and at most the same product of the liveness probe.
    Fix: make periodSeconds or failureThreshold of the readiness probe smaller.
    Does not prove: that clients notice at once.
    """
    most = policy.limit(limits.READINESS_BUDGET_MAX)
    probes = list(_probes(daemon_set, READINESS))
    if not probes:
        findings.not_applicable("no container has a readiness probe")
    for container, probe in probes:
        _expect_timeout(findings, container, READINESS, probe)
        liveness = container.probe(LIVENESS)
        bound = min(most, _budget(liveness)) if liveness else most
        budget = _budget(probe)
        at = f"{container}.{READINESS}"
        findings.expect(budget <= bound, at, expected=f"at most {bound:g} s", observed=f"{budget} s")


@readiness("workloads.probe-initial-delay", severity="low")
def test_probes_begin_soon(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """Probes begin at most 5 s after the start.

    Why: a long initial delay is a longer outage at each restart, on every node.
    How: initialDelaySeconds of the liveness and readiness probes of the DaemonSet under assessment, 0 by default.
    Fix: set `initialDelaySeconds: 5` and let a startupProbe cover a slow start.
    Does not prove: that the program starts as fast (workloads.start-to-ready).
    """
    most = policy.limit(limits.PROBE_INITIAL_DELAY)
    probes = [(name, *one) for name in (LIVENESS, READINESS) for one in _probes(daemon_set, name)]
    if not probes:
        findings.not_applicable("no container has a liveness or readiness probe")
    for name, container, probe in probes:
        delay = int(probe.get("initialDelaySeconds") or 0)
        at = f"{container}.{name}.initialDelaySeconds"
        findings.expect(delay <= most, at, expected=f"at most {most:g}", observed=delay)


@readiness("workloads.start-to-ready", severity="low", reads=("nodes",), ttl="1d")
def test_pods_are_ready_soon(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The median pod is ready within 30 s of the start of its containers.

    Why: a slow start is an outage on the node at each restart and update.
    How: of each live pod of the DaemonSet under assessment that never restarted: from the first
    state.running.startedAt to the lastTransitionTime of the Ready condition. Pods on simulated nodes do not count.
    Fix: shorten what the program does before it serves.
    Does not prove: how long a start takes under load; a pod that lost and regained readiness counts as slow.
    """
    simulated = inventory.derive(simulated_nodes)
    times = [_seconds_to_ready(pod) for pod in daemon_set.pods if pod.node and pod.node not in simulated]
    known = [seconds for seconds in times if seconds is not None]
    if not known:
        findings.not_assessed("no ready pod on a real node, never restarted, whose start could be measured")
    most = policy.limit(limits.START_TO_READY)
    middle = float(median(known))
    findings.measure("start to ready, median", middle, "s", most)
    findings.expect(
        middle <= most,
        "status of the pods",
        expected=f"at most {most:g} s",
        observed=f"{middle:g} s of {len(known)} pods",
    )


def simulated_nodes(reader: Reader) -> frozenset[str]:
    """The names of the nodes on which nothing runs."""
    return frozenset(node.short_name for node in map(Node, reader.objects("nodes")) if node.simulated)


def _probes(workload: Workload, name: str) -> Iterator[tuple[Container, Raw]]:
    for container in workload.containers:
        probe = container.probe(name)
        if probe:
            yield container, probe


def _budget(probe: Raw) -> int:
    """Seconds for which a probe may fail before it acts."""
    return int(probe.get("periodSeconds") or 10) * int(probe.get("failureThreshold") or 3)


def _expect_timeout(findings: Findings, container: Container, name: str, probe: Raw) -> None:
    timeout, period = int(probe.get("timeoutSeconds") or 1), int(probe.get("periodSeconds") or 10)
    at = f"{container}.{name}.timeoutSeconds"
    findings.expect(timeout <= period, at, expected=f"at most periodSeconds ({period})", observed=timeout)


def _seconds_to_ready(pod: Pod) -> float | None:
    statuses = pod.status.get("containerStatuses") or ()
    if not statuses or any(one.get("restartCount") for one in statuses):
        return None
    starts = [((one.get("state") or {}).get("running") or {}).get("startedAt") for one in statuses]
    ready = [
        one.get("lastTransitionTime")
        for one in pod.status.get("conditions") or ()
        if one.get("type") == "Ready" and one.get("status") == "True"
    ]
    if not all(starts) or not ready or not ready[0]:
        return None
    began = min(datetime.fromisoformat(str(one)) for one in starts)
    return (datetime.fromisoformat(str(ready[0])) - began).total_seconds()
