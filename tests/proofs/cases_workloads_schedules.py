"""Planted defects and near misses of the area workloads: schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    container,
    cron_job,
    deployment,
    merge,
)
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.cases_workloads import PENDING, Undo, poll

DAEMON = "workloads.scheduled-as-cronjob"
SETTINGS = "workloads.cronjob-settings"
SUCCESS = "workloads.cronjob-last-success"
REPORT = "CronJob {ns}/report"


def runs(*command: str, **more: object) -> Raw:
    """A Deployment that runs a command."""
    return deployment("web", container(command=list(command) or None, **more), replicas=0)


BOUNDED: Raw = {"concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 60}
STUCK = cron_job("report", PENDING, schedule="@every 1s", **BOUNDED)
"""A CronJob whose every run waits for a node that is large enough."""


def of_age(api: Api, namespace: str) -> Undo:
    """Wait until a CronJob has a run under way and is four of its periods of a second old."""

    def old_enough() -> bool:
        one = api.get(f"/apis/batch/v1/namespaces/{namespace}/cronjobs/report")
        age = datetime.now(UTC) - datetime.fromisoformat(one["metadata"]["creationTimestamp"])
        return bool(one["status"].get("active")) and age > timedelta(seconds=4)

    poll(old_enough, "age of the CronJob")
    return lambda: None


def succeeded(api: Api, namespace: str) -> Undo:
    """Let the CronJob have succeeded just now; an hour ahead, since the test takes its time."""
    of_age(api, namespace)
    when = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    path = f"/apis/batch/v1/namespaces/{namespace}/cronjobs/report/status"
    api.patch(path, {"status": {"lastSuccessfulTime": when}})
    return lambda: None


def succeeded_long_ago(api: Api, namespace: str) -> Undo:
    """Let the CronJob have succeeded an hour ago."""
    of_age(api, namespace)
    when = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    path = f"/apis/batch/v1/namespaces/{namespace}/cronjobs/report/status"
    api.patch(path, {"status": {"lastSuccessfulTime": when}})
    return lambda: None


SCHEDULES = [
    defect(DAEMON, "crond", runs("/usr/sbin/crond", "-f"), observed="runs /usr/sbin/crond"),
    defect(
        DAEMON, "crond at the end of a shell line", runs("sh", "-ec", "setup && exec crond -f"), observed="runs crond"
    ),
    defect(
        DAEMON,
        "supercronic behind an init program, as arguments",
        runs(args=["tini", "--", "supercronic", "/etc/crontab"]),
        observed="supercronic",
    ),
    near_miss(DAEMON, "an argument of that name", runs(args=["cron"])),
    near_miss(DAEMON, "a script of that name", runs("python", "cron.py", "--name", "crond")),
    near_miss(DAEMON, "a shell that only speaks of it", runs("sh", "-c", "echo crond; exec server")),
    defect(SETTINGS, "the defaults", cron_job(), observed="Allow"),
    defect(SETTINGS, "no deadline of the Job", cron_job(**BOUNDED), observed="activeDeadlineSeconds"),
    near_miss(
        SETTINGS,
        "bounded, with a deadline of 0 s",
        cron_job(
            job={"activeDeadlineSeconds": 600},
            **merge(BOUNDED, {"startingDeadlineSeconds": 0, "concurrencyPolicy": "Replace"}),
        ),
    ),
    defect(SUCCESS, "never succeeded", STUCK, observed="not set", arrange=of_age),
    defect(SUCCESS, "succeeded long ago", STUCK, observed="T", arrange=succeeded_long_ago),
    near_miss(SUCCESS, "succeeded lately", STUCK, arrange=succeeded),
    near_miss(SUCCESS, "younger than two periods", cron_job(), verdict=Verdict.NOT_ASSESSED),
    near_miss(SUCCESS, "suspended", merge(STUCK, {"spec": {"suspend": True}}), verdict=Verdict.NOT_APPLICABLE),
    defect(DAEMON, "cron behind an init program, in arguments", runs("tini", "--", args=["cron"]), observed="cron"),
    near_miss(DAEMON, "another program's -c", runs("python", "-c", "crond")),
]

CASES: list[Case] = [*SCHEDULES]
