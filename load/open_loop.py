"""An open-loop Locust user: requests start when the schedule says so, whatever the server does meanwhile.

Locust's own users are closed loops: a user that waits for an answer sends nothing, so a stall hides itself (two seconds
of full stall left a p95 of 8 ms; the truth was 1.4 s). Here each arrival has a greenlet, and its latency counts from the
moment at which it should have started.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import gevent
import locust
from locust.exception import StopUser

from load.client import Answer, Client, RequestError, right_kind
from load.samples import DROPPED, Sample, Writer
from load.scenario import PLAN, Plan, Row, arrivals

_PR_SET_PDEATHSIG = 1
_LAST_ANSWERS = 2.0
"""Seconds beyond the deadline of the last request, in which its timeout is written down."""


def taken_plan() -> Plan:
    """The plan of this process, which from now on dies with its parent. Raises SystemExit where there is none."""
    name = os.environ.get(PLAN)
    if not name:
        raise SystemExit("this locustfile is started by load.runner, which hands it a plan")
    plan = Plan.read(Path(name))
    Path(name).unlink()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Asked after the signal is set, so that there is no moment in which a dead parent goes unnoticed.
    if os.getppid() != plan.parent:
        raise SystemExit("the process that started this load is gone")
    return plan


class OpenLoopUser(locust.User):
    """Sends the plan's schedule once, then ends the run. Subclasses set `plan`; one instance is the whole load."""

    abstract = True
    fixed_count = 1
    plan: ClassVar[Plan]

    def on_start(self) -> None:
        """Open the samples file and the connections' pool."""
        self.client = Client(self.plan.target, self.plan.deadline)
        self.writer = Writer(Path(self.plan.samples))
        self.in_flight = self.sent = self.dropped = self.failed = 0
        self.origin = 0.0
        # Locust would begin the schedule again after an error of ours, and never end.
        self.environment.catch_exceptions = False
        self.environment.events.user_error.add_listener(lambda **_: gevent.spawn(self.environment.runner.quit))

    @locust.task
    def drive(self) -> None:
        """Start every arrival at its moment, wait for the last answers, report, and stop Locust."""
        plan = self.plan
        self._open_connections()
        self.origin = time.monotonic() + plan.warm_up + 0.1
        cpu = time.process_time()
        reporter = gevent.spawn(self._report_each_second)
        self._say(origin=self.origin, started=time.time() + self.origin - time.monotonic())
        requests = gevent.pool.Group()
        for number, arrival in enumerate(arrivals(plan.rows, plan.rate, plan.seconds, plan.warm_up, plan.seed)):
            self._sleep_until(arrival.at)
            row = plan.rows[arrival.row]
            if self.in_flight >= plan.in_flight:
                self._drop(row, arrival.at)
            else:
                self.in_flight += 1
                requests.add(gevent.spawn(self._request, row, arrival.at, number % len(plan.target.servers)))
        self._sleep_until(plan.seconds)
        busy = (time.process_time() - cpu) / (plan.seconds + plan.warm_up + 0.1)
        requests.join(timeout=plan.deadline + _LAST_ANSWERS)
        reporter.kill()
        self.writer.close()
        self._say(ended=True, cpu=busy, connections=self.client.opened, unanswered=len(requests))
        gevent.spawn(self.environment.runner.quit)
        raise StopUser

    def _open_connections(self) -> None:
        """Open the connections of a short stall beforehand, one request on each.

        A client of HTTP/2 needs no more connections when answers are late. Here each needs a TLS handshake, and the
        processor's time for many of them at once would make the generator late and the stall look longer than it was.
        """
        plan = self.plan
        openings = [gevent.spawn(self._opened, number % len(plan.target.servers)) for number in range(plan.connections)]
        gevent.joinall(openings, timeout=plan.deadline)
        for opening in openings:
            opening.kill()
            # The value of a greenlet that was killed is the GreenletExit that ended it.
            if isinstance(opening.value, Answer):
                with contextlib.suppress(RequestError):
                    self.client.finish(opening.value)

    def _opened(self, server: int) -> Answer | None:
        # A server that does not answer now is found out by the requests that count.
        with contextlib.suppress(RequestError):
            return self.client.open(server, self.plan.rows[0].path)
        return None

    def _sleep_until(self, at: float) -> None:
        """Give way at least once: a late generator still has to read answers."""
        gevent.sleep(max(0.0, self.origin + at - time.monotonic()))
        while (left := self.origin + at - time.monotonic()) > 0:
            gevent.sleep(left)

    def _request(self, row: Row, intended: float, server: int) -> None:
        start = time.monotonic() - self.origin
        code, size, answered = "timeout", 0, 0.0
        with contextlib.suppress(gevent.Timeout), gevent.Timeout(self.plan.deadline):
            try:
                answer = self.client.open(server, row.path)
                answered = time.monotonic() - self.origin
                body = self.client.finish(answer)
                code, size = str(answer.response.status), len(body)
                if code == "200" and not row.streamed and not right_kind(row, body):
                    code = "wrong-answer"
            except RequestError as error:
                code = error.code
        now = time.monotonic() - self.origin
        # A stream is open when its headers are here; how long it lasts is the client's choice.
        end = answered if row.streamed and code == "200" else now
        self.in_flight -= 1
        self.sent += 1
        self._record(row, Sample(intended, start, end, *row.name, code, size))

    def _drop(self, row: Row, intended: float) -> None:
        self.dropped += 1
        self._record(row, Sample(intended, intended, intended, *row.name, DROPPED, 0))

    def _record(self, row: Row, sample: Sample) -> None:
        self.failed += not sample.ok
        self.writer.add(sample)
        self.environment.events.request.fire(
            request_type=row.verb,
            name=row.label,
            response_time=sample.latency * 1000,
            response_length=sample.bytes,
            exception=None if sample.ok else RequestError(sample.code, sample.code),
            context={},
        )

    def _report_each_second(self) -> None:
        while True:
            gevent.sleep(1)
            self.writer.flush()
            self._say(at=time.monotonic() - self.origin, sent=self.sent, failed=self.failed, dropped=self.dropped)

    def _say(self, **facts: Any) -> None:
        os.write(self.plan.progress, json.dumps(facts).encode() + b"\n")
