"""Tasks that run by the clock."""

from __future__ import annotations

import posixpath
import re
from datetime import UTC, datetime
from itertools import dropwhile, pairwise

from fixtures.readiness import Findings, readiness
from fixtures.schedule import due_before
from fixtures.subjects import Container, Workload

DAEMONS = frozenset({"cron", "crond", "supercronic"})
SHELLS = frozenset({"sh", "bash", "ash", "dash"})
WRAPPERS = frozenset({"tini", "dumb-init", "exec", "env"})
_RUNS = re.compile(r"-[a-z]*c")
_SEPARATORS = re.compile(r"&&|\|\||[;&|\n]")


@readiness("workloads.scheduled-as-cronjob", severity="low")
def test_no_container_runs_a_cron_daemon(workload: Workload, findings: Findings) -> None:
    """Scheduled tasks are CronJobs: no container runs a cron daemon of its own.

    Why: a task inside a container runs once for each replica, fails unseen, and is gone when the pod is.
    How: neither command nor args of a container start crond, cron or supercronic, also through a shell.
    Fix: make a CronJob of each task.
    Does not prove: that no program schedules tasks inside itself, nor what the image's entry point starts.
    """
    for container in workload.containers:
        daemon = _daemon(container)
        findings.expect(not daemon, container, expected="a CronJob", observed=f"runs {daemon}")


@readiness("workloads.cronjob-settings", severity="low")
def test_cron_jobs_are_bounded(cron_job: Workload, findings: Findings) -> None:
    """Every CronJob says what happens when a run is late, overlaps or hangs.

    Why: by default runs pile up beside each other, hang for ever, and a hundred missed runs stop the CronJob for
    good.
    How: concurrencyPolicy is Forbid or Replace, and startingDeadlineSeconds and the Job's activeDeadlineSeconds are
    set.
    Fix: set `concurrencyPolicy: Forbid`, `startingDeadlineSeconds` and `jobTemplate.spec.activeDeadlineSeconds`.
    Does not prove: that the deadlines suit the task.
    """
    spec = cron_job.spec
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    policy = spec.get("concurrencyPolicy") or "Allow"
    findings.expect(
        policy in ("Forbid", "Replace"), "spec.concurrencyPolicy", expected="Forbid or Replace", observed=policy
    )
    for at, value in (
        ("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds")),
        ("spec.jobTemplate.spec.activeDeadlineSeconds", job.get("activeDeadlineSeconds")),
    ):
        findings.expect(value is not None, at, expected="a number of seconds", observed=value)


@readiness("workloads.cronjob-last-success", severity="low", ttl="1d")
def test_cron_jobs_succeed(cron_job: Workload, findings: Findings) -> None:
    """Every CronJob has succeeded within its last two periods.

    Why: a task that has failed for weeks is found out when its result is needed, such as a backup.
    How: status.lastSuccessfulTime is not before the last time but one that spec.schedule names, in spec.timeZone or
    UTC; while a run is under way, one time earlier. A CronJob that is younger is not assessed, a suspended one left
    out.
    Fix: repair the Jobs whose last run failed: `kubectl get jobs` and the logs of their pods.
    Does not prove: that a run which ended well did its task.
    """
    if cron_job.spec.get("suspend"):
        findings.not_applicable("it is suspended")
    schedule, zone = str(cron_job.spec.get("schedule", "")), str(cron_job.spec.get("timeZone") or "")
    try:
        due = due_before(schedule, zone, datetime.now(UTC), 3)
    except ValueError as error:
        findings.not_assessed(f"the schedule {schedule!r} cannot be read: {error}")
    since = due[2] if cron_job.status.get("active") else due[1]
    created = cron_job.metadata.get("creationTimestamp")
    if not created or datetime.fromisoformat(str(created)) > since:
        findings.not_assessed("fewer than two runs have come due since it was created")
    last = cron_job.status.get("lastSuccessfulTime")
    ok = last is not None and datetime.fromisoformat(str(last)) >= since
    findings.expect(
        ok, "status.lastSuccessfulTime", expected=f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} or later", observed=last
    )


def _daemon(container: Container) -> str:
    command = [str(word) for word in container.raw.get("command") or ()]
    args = [str(word) for word in container.raw.get("args") or ()]
    if not command and args[:1] == ["cron"]:  # an argument of the image's own program, as in `worker cron`
        return ""
    return _started([*command, *args])


def _started(words: list[str]) -> str:
    """The cron daemon that a command line starts, "" where it starts none; looks behind wrappers and into shells."""
    rest = list(dropwhile(lambda word: word.startswith("-") or posixpath.basename(word) in WRAPPERS, words))
    program = posixpath.basename(rest[0]) if rest else ""
    if program in DAEMONS:
        return rest[0]
    if program not in SHELLS:
        return ""
    scripts = (script for flag, script in pairwise(rest) if _RUNS.fullmatch(flag))
    commands = (command.split() for script in scripts for command in _SEPARATORS.split(script))
    return next(filter(None, map(_started, commands)), "")
