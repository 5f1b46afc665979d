"""What the assessed DaemonSet logs, and whether the logs of running and of crashed containers can be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fixtures import limits
from fixtures.api import ApiError
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.place import refused
from fixtures.lab.states import ask_until, ended, restarts
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster, Workload

TIMES = frozenset({"time", "ts", "timestamp", "@timestamp", "t", "asctime", "date"})
MESSAGES = frozenset({"msg", "message", "event", "short_message", "body", "log"})
"""The keys that common loggers use: zap, zerolog, slog, logrus, logback, bunyan, structlog, GELF."""
LEVELS = ("level", "severity", "lvl", "log.level")
KNOWN = frozenset(
    [
        "trace",
        "debug",
        "verbose",
        "info",
        "information",
        "notice",
        "warn",
        "warning",
        "error",
        "err",
        "critical",
        "crit",
        "fatal",
        "panic",
        "alert",
        "emergency",
    ]
)
BAD_REQUEST = 400
"""What the API server answers for the log of a container that waits for its start, which has none."""
DEBUG = frozenset({"trace", "debug", "verbose"})


@readiness(
    "observability.structured-json-logs",
    severity="medium",
    needs=("pods",),
    consent="probes",
    uses=("pods/log",),
)
def test_logs_are_structured(daemon_set: Workload, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """The agent writes structured JSON log lines.

    Why: Lines that are no objects cannot be searched by field, and a stack trace becomes fifty unrelated lines.
    How: The last 200 lines of the main container of up to 10 running pods of the DaemonSet under assessment: at least 95 % of
        those that are not empty have to be JSON objects with a time and a message, under the keys that common loggers use.
    Fix: Switch the logger to JSON output.
    Does not prove: That a log store takes them in (observability.log-aggregation).
    """
    least = policy.limit(limits.JSON_LINES)
    lines = _lines(daemon_set, findings, lab, policy)
    good = sum(1 for line in lines if (one := _parsed(line)) and TIMES & one.keys() and MESSAGES & one.keys())
    findings.measure("structured lines", good / len(lines), "", least)
    observed = f"{good} of {len(lines)}"
    findings.expect(
        good >= least * len(lines),
        "log lines",
        expected=f"at least {least:.0%} JSON with time and message",
        observed=observed,
    )


@readiness("observability.log-levels", severity="low", needs=("pods",), consent="probes", uses=("pods/log",))
def test_log_lines_have_levels(daemon_set: Workload, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """Each log line has a known severity level, and production does not log debug.

    Why: Alerts and filters go by level; debug output hides the rest and may hold what nobody should see.
    How: Of the JSON lines among the last 200 of the main container of up to 10 running pods of the DaemonSet under assessment:
        each has level, severity or lvl with a known word, and fewer than 5 % are debug or trace.
    Fix: Set the level to info, and emit the level field.
    Does not prove: That levels are used with sense.
    """
    most = policy.limit(limits.DEBUG_LINES)
    found = [one for line in _lines(daemon_set, findings, lab, policy) if (one := _parsed(line))]
    if not found:
        findings.not_assessed("no line is a JSON object (observability.structured-json-logs)")
    levels = [_level(one) for one in found]
    unknown = [level or "none" for level in levels if level not in KNOWN]
    observed = f"{len(unknown)} of {len(found)} without, such as {unknown[0]!r}" if unknown else ""
    findings.expect(not unknown, "log lines", expected="a known level each", observed=observed)
    debug = sum(1 for level in levels if level in DEBUG)
    findings.expect(
        debug < most * len(found) or not debug,
        "log lines",
        expected=f"fewer than {most:.0%} debug",
        observed=f"{debug} of {len(found)}",
    )


@readiness(
    "observability.logs-readable",
    severity="high",
    needs=("pods",),
    consent="probes",
    uses=("namespaces", "pods", "pods/log"),
)
def test_logs_of_containers_can_be_read(
    cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """What a container logged can be read, also after it has crashed.

    Why: The log of the container that crashed is most often all that there is to find out why.
    How: A pod logs a line with a word of its own and crashes. Once it was restarted, the log of the container before must hold
        that line; so must that of the one which runs.
    Fix: Look at the kubelet's port 10250 from the control plane, and at the log directory of the node (/var/log/pods).
    Does not prove: That logs outlive their pod (observability.log-aggregation).
    """
    deadline = limits.LAB_POD_DEADLINE.value
    with lab.place("logs") as place:
        code = int(lab.run, 16) % 200 + 10
        place.create("pods", objects.pod("crashes", place.spec("crash", "--after", "3s", "--code", str(code))))

        def again(found: dict[str, Any] | None) -> bool | None:
            return True if found and restarts(found) and ended(found) else None

        place.await_one("pods", "crashes", again, deadline, "a crash and a restart")
        for which, previous in (("the container before", True), ("the container that runs", False)):
            problem = _without(place, code, previous)
            findings.expect(not problem, which, expected=f"a log with the code {code}", observed=problem)


def _without(place: Place, code: int, previous: bool) -> str:
    """What the log of a container holds instead of a line with the code, "" as soon as it is there.

    It is asked for again and again, because the pod goes on crashing, and the kubelet removes the containers before the last.
    """
    said = ""

    def found() -> bool | None:
        nonlocal said
        try:
            lines = place.log("crashes", limits.PROBE_ANSWER_DEADLINE.value, previous=previous)
        except ApiError as error:
            said = str(error)
            return None
        said = "; ".join(lines)[:200] or "nothing"
        return True if any((_parsed(line) or {}).get("code") == code for line in lines) else None

    try:
        ask_until(found, limits.PROBE_ANSWER_DEADLINE.value, "the log")
    except Missed:
        return said
    return ""


def _lines(workload: Workload, findings: Findings, lab: Workbench, policy: Policy) -> Sequence[str]:
    """The last lines of the main containers, empty ones left out. Ends the check where there are none."""
    lab.allows("pods/log")
    main = policy.subjects.daemon_sets.main_container
    names = [one.name for one in workload.containers if one.role == "containers"]
    if len(names) > 1 and main not in names:
        listed = ", ".join(names)
        findings.not_assessed(
            f"which of {listed} is the main container? Name it in subjects.daemon_sets.main_container"
        )
    name = main if main in names else names[0]
    lines: list[str] = []
    running = [pod for pod in workload.pods if pod.status.get("phase") == "Running"]
    for pod in running[: int(policy.limit(limits.LOG_PODS))]:
        query: dict[str, str | int | bool] = {"container": name, "tailLines": int(policy.limit(limits.LOG_LINES))}
        try:
            lines += lab.api.text(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.short_name}/log", query).splitlines()
        except ApiError as error:
            if error.status != BAD_REQUEST:
                raise refused(error, f"read the log of {pod.name}") from error
    kept = [line for line in lines if line.strip()]
    if not kept:
        findings.not_assessed("no running pod has logged a line")
    return kept


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found else None


def _level(line: dict[str, Any]) -> str:
    return next((str(line[key]).lower() for key in LEVELS if key in line), "")
