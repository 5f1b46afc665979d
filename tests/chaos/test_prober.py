"""The prober against a loopback server that is stopped, started and made to misbehave."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from chaos.outage import Failure, Sample, outage
from chaos.prober import FailingOver, KeptAlive, Prober, Target, fresh

ANSWER = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n%s\r\nok"
INTERVAL = 0.02


class Server:
    """A loopback HTTP server that answers as told: ok, 429, 503, 404, reset, hang."""

    def __init__(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]
        self.mode, self.requests, self.connections = "ok", 0, 0
        self.served, self.most = 0, 0
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False, backlog=100)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.served += 1
        self.most = max(self.most, self.served)
        try:
            self._talk(connection)
        except OSError:
            return
        finally:
            self.served -= 1

    def _talk(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            self.requests += 1
            if self.mode == "hang":
                continue
            if self.mode == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return
            status = {"ok": b"200 OK", "429": b"429 Slow down", "503": b"503 Away", "404": b"404 None"}[self.mode]
            connection.sendall(ANSWER % (status, b""))

    def target(self, **changed: object) -> Target:
        return Target(**{"host": "127.0.0.1", "port": self.port, "path": "/", **changed})  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.stop()


def until(condition: object, what: str) -> None:
    """Wait for a condition, at most 10 s."""
    end = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"no {what} within 10 s"
        time.sleep(0.005)


def once(target: Target, deadline: float = 2.0) -> Failure | None:
    return fresh(target)(time.monotonic() + deadline)


@pytest.mark.parametrize(
    ("mode", "failure"),
    [
        ("ok", None),
        ("429", Failure.THROTTLED),
        ("503", Failure.SERVER),
        ("404", Failure.STATUS),
        ("reset", Failure.RESET),
    ],
)
def test_answers_are_classed(server: Server, mode: str, failure: Failure | None) -> None:
    server.mode = mode
    assert once(server.target()) is failure


def test_a_hanging_server_is_a_timeout(server: Server) -> None:
    server.mode = "hang"
    assert once(server.target(), deadline=0.2) is Failure.TIMEOUT


def test_a_wrong_body_is_a_failure(server: Server) -> None:
    assert once(server.target(expect=b"something else")) is Failure.BODY


def test_a_server_that_speaks_no_tls_is_a_tls_failure(server: Server) -> None:
    assert once(server.target(context=ssl.create_default_context())) in {Failure.TLS, Failure.RESET}


def test_no_server_is_refused(server: Server) -> None:
    server.stop()
    assert once(server.target()) is Failure.REFUSED


def test_the_window_holds_the_outage(server: Server) -> None:
    with Prober(fresh(server.target()), INTERVAL, 1.0) as prober:
        until(lambda: len(prober.samples) > 5, "probes")
        stopping = time.monotonic()
        server.stop()
        stopped = time.monotonic()
        until(lambda: sum(sample.failure is not None for sample in prober.samples) > 10, "failures")
        starting = time.monotonic()
        server.start()
        started = time.monotonic()
        until(lambda: sum(sample.failure is None and sample.due > started for sample in prober.samples) > 5, "recovery")
    found = prober.outage()
    (window,) = found.windows
    assert window.closed
    assert set(found.failures) <= {"refused", "reset"}
    assert window.start <= stopped
    assert window.end >= starting
    assert window.upper >= starting - stopped
    assert window.lower <= started - stopping + 2 * INTERVAL


def test_a_server_that_never_fails_has_no_window(server: Server) -> None:
    with Prober(fresh(server.target()), INTERVAL, 1.0) as prober:
        until(lambda: len(prober.samples) > 20, "probes")
    assert prober.outage().windows == ()
    assert prober.outage().upper == 0


def test_a_stall_does_not_stop_the_schedule(server: Server) -> None:
    with Prober(fresh(server.target()), INTERVAL, 0.3) as prober:
        until(lambda: len(prober.samples) > 5, "probes")
        server.mode = "hang"
        until(lambda: sum(sample.failure is Failure.TIMEOUT for sample in prober.samples) >= 15, "timeouts")
        server.mode = "ok"
    timeouts = sorted(sample.due for sample in prober.samples if sample.failure is Failure.TIMEOUT)
    # A closed loop would leave a gap of the whole deadline between two probes.
    assert max(later - earlier for earlier, later in pairwise(timeouts)) < 0.3
    # Nor would it have asked at all while an earlier probe hung.
    assert server.most > 3


def test_a_kept_alive_connection_is_one_connection(server: Server) -> None:
    probe = KeptAlive(server.target())
    assert [probe(time.monotonic() + 1) for _ in range(5)] == [None] * 5
    assert (server.connections, server.requests) == (1, 5)
    server.mode = "reset"
    assert probe(time.monotonic() + 1) is Failure.RESET
    server.mode = "ok"
    assert probe(time.monotonic() + 1) is None
    assert server.connections == 2
    probe.close()


def test_a_kept_alive_probe_behind_one_that_hangs_is_a_timeout(server: Server) -> None:
    server.mode = "hang"
    with Prober(KeptAlive(server.target()), INTERVAL, 0.2, senders=1) as prober:
        until(lambda: len(prober.samples) > 10, "probes")
    assert {sample.failure for sample in prober.samples} == {Failure.TIMEOUT}


def test_a_client_that_fails_over_sees_no_outage(server: Server) -> None:
    other = Server()
    other.start()
    probe = FailingOver([server.target(), other.target()])
    assert probe(time.monotonic() + 1) is None
    server.stop()
    assert probe(time.monotonic() + 1) is None
    assert other.requests == 1
    other.stop()
    assert probe(time.monotonic() + 1) is Failure.REFUSED


def test_an_error_inside_a_probe_is_not_swallowed() -> None:
    def broken(_: float) -> Failure | None:
        raise RuntimeError("a bug")

    with Prober(broken, INTERVAL, 0.2) as prober:
        time.sleep(3 * INTERVAL)
    with pytest.raises(RuntimeError, match="a bug"):
        _ = prober.samples


def sample(due: float, failure: Failure | None = None, took: float = 0.01) -> Sample:
    return Sample(due, due, due + took, failure)


def test_a_single_success_is_a_flap_and_does_not_end_the_window() -> None:
    down = Failure.REFUSED
    states = [None, down, down, None, down, None, None, None, down]
    found = outage([sample(float(due), failure) for due, failure in enumerate(states)], late_after=0.1)
    first, second = found.windows
    assert (first.lower, first.closed) == (3.0, True)
    assert first.upper == pytest.approx(5.01)
    assert (second.closed, found.closed, found.flaps) == (False, False, 1)


def test_an_outage_that_never_ends_is_not_closed() -> None:
    found = outage([sample(0.0), sample(1.0, Failure.TIMEOUT, took=2.0)], late_after=0.1)
    assert not found.closed
    assert found.upper == 3.0


def test_too_few_successes_at_the_end_do_not_show_that_it_is_over() -> None:
    states = [None, Failure.RESET, None, None]
    assert not outage([sample(float(due), failure) for due, failure in enumerate(states)], late_after=0.1).closed


def test_no_probe_is_no_proof() -> None:
    with pytest.raises(ValueError, match="no probe"):
        outage([], late_after=0.1)


def test_late_probes_and_stalls_are_counted() -> None:
    found = outage([Sample(0.0, 0.5, 0.6), Sample(1.0, 1.0, 2.5)], late_after=0.1)
    assert (found.late, found.slowest) == (1, 1.5)


def test_an_outage_between_two_successes_is_bounded_by_them() -> None:
    assert outage([Sample(0.0, 0.5, 0.6), Sample(1.0, 1.0, 2.5), Sample(2.0, 2.0, 2.1)], late_after=0.1).blind == 2.0
    assert outage([sample(0.0), sample(5.0, Failure.RESET), sample(9.0)], late_after=0.1).blind == 0
