"""States that a real API server passes through too fast, or too seldom, for a planted defect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from fixtures.policy import Policy
from fixtures.readiness import Decided, Findings
from fixtures.subjects import Namespace, Raw, Workload
from reports.words import Verdict
from suites.workloads.test_node_services import test_node_services_are_daemon_sets as node_services
from suites.workloads.test_placement import test_one_pod_runs_on_every_eligible_node as one_pod_per_node
from suites.workloads.test_priorities import test_the_cluster_ranks_its_workloads as priority_classes
from suites.workloads.test_quotas import test_quotas_have_headroom as quota_headroom
from suites.workloads.test_schedules import test_cron_jobs_succeed as last_success

T = TypeVar("T")
DONE = {"observedGeneration": 2, "desiredNumberScheduled": 1, "numberReady": 1, "updatedNumberScheduled": 1}


class Known:
    """The objects that a check reads, by kind."""

    def __init__(self, **kinds: Sequence[Raw]) -> None:
        self.kinds = {name.replace("_", "."): raws for name, raws in kinds.items()}

    def objects(self, kind: str) -> Sequence[Raw]:
        return self.kinds[kind]

    def derive(self, build: Callable[[Any], T]) -> T:
        return build(self)


def decide(check: Callable[..., None], subject: Any, **given: Any) -> tuple[Verdict, str]:
    findings = Findings(check.readiness, subject)  # type: ignore[attr-defined]
    try:
        check(subject, findings, **given)
    except Decided as decided:
        return decided.verdict, decided.reason
    return findings.verdict()


def daemon_set(status: Raw, *pods: Raw) -> Workload:
    return Workload({"kind": "DaemonSet", "metadata": {"name": "agent", "generation": 2}, "status": status}, pods)


def pod(name: str, **more: Any) -> Raw:
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, **more}, "spec": {"nodeName": "one"}, "status": ready}


ONE_NODE = Known(nodes=[{"metadata": {"name": "one"}}])


@pytest.mark.parametrize("status", [{**DONE, "observedGeneration": 1}, {}, {"observedGeneration": 2}])
def test_a_daemon_set_whose_status_says_nothing_yet_is_not_assessed(status: Raw) -> None:
    assert decide(node_services, daemon_set(status), inventory=ONE_NODE)[0] is Verdict.NOT_ASSESSED


def test_one_pod_per_node_waits_for_the_controller() -> None:
    stale = daemon_set({**DONE, "observedGeneration": 1}, pod("a"))

    assert decide(one_pod_per_node, stale, inventory=ONE_NODE)[0] is Verdict.NOT_ASSESSED


def test_pods_that_go_away_are_no_second_pod() -> None:
    ended = {**pod("c"), "status": {"phase": "Failed"}}
    leaving = daemon_set(DONE, pod("a"), pod("b", deletionTimestamp="2026-01-01T00:00:00Z"), ended)

    assert decide(one_pod_per_node, leaving, inventory=ONE_NODE)[0] is Verdict.PASS


def test_two_ready_pods_on_one_node_fail() -> None:
    assert decide(one_pod_per_node, daemon_set(DONE, pod("a"), pod("b")), inventory=ONE_NODE)[0] is Verdict.FAIL


def test_a_pod_on_a_node_that_nothing_makes_eligible_fails() -> None:
    nowhere = {**DONE, "desiredNumberScheduled": 0, "updatedNumberScheduled": 0}

    assert decide(one_pod_per_node, daemon_set(nowhere, pod("a")), inventory=Known(nodes=[]))[0] is Verdict.FAIL


def test_two_default_classes_fail() -> None:
    classes = [{"metadata": {"name": name}, "value": value, "globalDefault": True} for value, name in enumerate("ab")]

    known = Known(priorityclasses_scheduling_k8s_io=classes)

    assert decide(priority_classes, Workload({}), inventory=known, policy=Policy())[0] is Verdict.FAIL


@pytest.mark.parametrize("status", [{}, {"hard": {"pods": "1"}}, {"hard": {"pods": "1"}, "used": {"cpu": "1"}}])
def test_a_quota_that_is_not_counted_yet_is_not_assessed(status: Raw) -> None:
    quota = {"metadata": {"name": "q", "namespace": "shop"}, "spec": {"hard": {"pods": "1"}}, "status": status}
    namespace = Namespace({"metadata": {"name": "shop"}}, ())
    verdict, reason = decide(quota_headroom, namespace, inventory=Known(resourcequotas=[quota]), policy=Policy())

    assert verdict is Verdict.NOT_ASSESSED
    assert "not yet counted" in reason


def test_a_quota_of_nothing_is_no_quota() -> None:
    quota = {"metadata": {"name": "q", "namespace": "shop"}, "spec": {}}
    namespace = Namespace({"metadata": {"name": "shop"}}, ())

    assert decide(quota_headroom, namespace, inventory=Known(resourcequotas=[quota]), policy=Policy())[0] is (
        Verdict.NOT_APPLICABLE
    )


def cron_job(age: timedelta, success: timedelta | None, **status: Any) -> Workload:
    now = datetime.now(UTC)
    created = {"creationTimestamp": f"{now - age:%Y-%m-%dT%H:%M:%SZ}", "name": "report"}
    if success is not None:
        status["lastSuccessfulTime"] = f"{now - success:%Y-%m-%dT%H:%M:%SZ}"
    return Workload({"kind": "CronJob", "metadata": created, "spec": {"schedule": "@every 1h"}, "status": status})


HOURS = [timedelta(hours=hours + 0.5) for hours in range(9)]


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ((HOURS[8], HOURS[1], 0), Verdict.PASS),
        ((HOURS[8], HOURS[2], 0), Verdict.FAIL),
        ((HOURS[8], None, 0), Verdict.FAIL),
        ((HOURS[8], HOURS[2], 1), Verdict.PASS),
        ((HOURS[8], HOURS[3], 1), Verdict.FAIL),
        ((HOURS[1], None, 0), Verdict.NOT_ASSESSED),
        ((HOURS[2], None, 1), Verdict.NOT_ASSESSED),
    ],
)
def test_a_cron_job_has_two_periods_and_while_it_runs_three(
    job: tuple[timedelta, timedelta | None, int], expected: Verdict
) -> None:
    age, success, running = job
    # Made now and not when the tests were collected, which may be half an hour ago.
    made = cron_job(age, success, **({"active": [{"name": "report-1"}]} if running else {}))

    assert decide(last_success, made)[0] is expected


def test_a_schedule_that_nobody_can_read_is_not_assessed() -> None:
    job = Workload({"kind": "CronJob", "metadata": {"name": "report"}, "spec": {"schedule": "0 0 30 2 *"}})

    verdict, reason = decide(last_success, job)

    assert verdict is Verdict.NOT_ASSESSED
    assert "0 0 30 2 *" in reason
