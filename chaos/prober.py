"""An open-loop prober: it asks on an absolute schedule, whether or not earlier answers came, and classes every failure.

A closed-loop client waits while the server hangs and so sends nothing in the very seconds that matter. Here each probe
has a due time that no other probe can move, a deadline counted from that due time, and no retry.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from types import TracebackType
from typing import Self

from chaos.outage import Failure, Outage, Sample, outage
from fixtures.limits import CHAOS_PROBE_DEADLINE, CHAOS_PROBE_INTERVAL

Attempt = Callable[[float], Failure | None]
"""One probe, given the monotonic time at which it must have ended; it answers why it failed, or None."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a probe asks: GET of `path`, over TLS where there is a `context`; the answer must hold `expect`."""

    host: str
    port: int
    path: str
    context: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)
    expect: bytes = b""

    def connection(self, deadline: float) -> http.client.HTTPConnection:
        """A new connection whose connect has until `deadline` (monotonic seconds)."""
        timeout = _left(deadline)
        if self.context is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)


def fresh(target: Target) -> Attempt:
    """Probe with a new connection each time: what a client sees that has just started."""

    def attempt(deadline: float) -> Failure | None:
        try:
            connection = target.connection(deadline)
        except TimeoutError:
            return Failure.TIMEOUT
        try:
            return _ask(connection, target, deadline)
        finally:
            connection.close()

    return attempt


class KeptAlive:
    """Probe over one connection for as long as it lasts: what a client sees that was connected before the fault."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: http.client.HTTPConnection | None = None

    def __call__(self, deadline: float) -> Failure | None:
        """Ask once. A probe whose turn comes only after its deadline, behind one that hangs, is a timeout."""
        try:
            if self._connection is None:
                self._connection = self._target.connection(deadline)
            failure = _ask(self._connection, self._target, deadline)
        except TimeoutError:
            failure = Failure.TIMEOUT
        if failure is not None:
            self.close()
        return failure

    def close(self) -> None:
        """Drop the connection; the next probe opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class FailingOver:
    """Probe as a client that knows several servers: the one that answered last first, then the others in turn."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._attempts = [fresh(target) for target in targets]
        self._preferred = 0

    def __call__(self, deadline: float) -> Failure | None:
        """Ask until a server answers; each is given its share of the time. The last failure speaks for all."""
        count, begin = len(self._attempts), self._preferred
        share = _left(deadline) / count
        failure: Failure | None = None
        for offset in range(count):
            server = (begin + offset) % count
            failure = self._attempts[server](min(deadline, time.monotonic() + share))
            if failure is None:
                self._preferred = server
                return None
        return failure


class Prober:
    """Sends `attempt` each `interval` seconds in its own threads until stopped. Use it as a context manager."""

    def __init__(
        self,
        attempt: Attempt,
        interval: float = CHAOS_PROBE_INTERVAL.value,
        deadline: float = CHAOS_PROBE_DEADLINE.value,
        *,
        senders: int | None = None,
    ) -> None:
        """`senders` is how many probes may be under way at once; without it enough for every probe to hang until its
        deadline.
        """
        self._attempt, self._interval, self._deadline = attempt, interval, deadline
        self._senders = senders or ceil(deadline / interval) + 2
        self._sent: list[Future[Sample]] = []
        self._stop = threading.Event()
        self._schedule = threading.Thread(target=self._run, name="prober", daemon=True)

    def __enter__(self) -> Self:
        self._schedule.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no further probe and wait for those under way, at most their deadline. Can be called twice."""
        self._stop.set()
        if self._schedule.ident is not None:
            self._schedule.join()
        if isinstance(self._attempt, KeptAlive):
            self._attempt.close()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The probes that have ended, in the order of their due times. Raises what a probe raised, which is a bug."""
        return tuple(future.result() for future in self._sent if future.done())

    @property
    def last_success(self) -> float:
        """When the last successful probe ended (monotonic seconds), 0 before the first."""
        return max((sample.ended for sample in self.samples if sample.failure is None), default=0.0)

    def outage(self, until: float | None = None) -> Outage:
        """The windows so far, or those that began before `until`. Raises ValueError where no probe was sent."""
        return outage(self.samples, late_after=self._interval, until=until)

    def _run(self) -> None:
        begin = time.monotonic()
        with ThreadPoolExecutor(self._senders, thread_name_prefix="probe") as pool:
            number = 0
            while not self._stop.wait(max(0.0, begin + number * self._interval - time.monotonic())):
                due = begin + number * self._interval
                self._sent.append(pool.submit(self._send, due, time.monotonic()))
                number += 1

    def _send(self, due: float, sent: float) -> Sample:
        failure = self._attempt(due + self._deadline)
        return Sample(due, sent, time.monotonic(), failure)


def _ask(connection: http.client.HTTPConnection, target: Target, deadline: float) -> Failure | None:
    try:
        if connection.sock is None:
            connection.connect()
        socket = connection.sock  # http.client forgets it when the answer closes the connection
        socket.settimeout(_left(deadline))
        connection.request("GET", target.path, headers=target.headers)
        response = connection.getresponse()
        socket.settimeout(_left(deadline))
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return classify(error)
    if response.status != http.client.OK:
        return classify_status(response.status)
    return None if target.expect in body else Failure.BODY


def classify(error: OSError | http.client.HTTPException) -> Failure:
    """The class of a probe's failure below HTTP."""
    if isinstance(error, TimeoutError):
        return Failure.TIMEOUT
    if isinstance(error, ConnectionRefusedError):
        return Failure.REFUSED
    if isinstance(error, ConnectionError | http.client.HTTPException | ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure.RESET
    if isinstance(error, ssl.SSLError):
        return Failure.TLS
    return Failure.UNREACHABLE


def classify_status(status: int) -> Failure:
    """The class of an HTTP status other than success."""
    if status == http.client.TOO_MANY_REQUESTS:
        return Failure.THROTTLED
    return Failure.SERVER if status >= http.client.INTERNAL_SERVER_ERROR else Failure.STATUS


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time left for this probe")
    return left
