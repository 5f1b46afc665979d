"""The probe's program, as it is compiled: it serves, lingers and ends well, and tells apart what can go wrong."""

from __future__ import annotations

import http.client
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from fixtures.clusters.embedded.progress import Progress
from fixtures.lab.image import probe_program
from tests.clusters.embedded_tools import eventually
from tests.lab.probe_tools import DEADLINE, RFC3339, Server, ask


@pytest.fixture(scope="module")
def program() -> Path:
    return probe_program(Progress(sys.stderr))


@pytest.fixture
def server(program: Path) -> Iterator[Server]:
    with Server.started(program, "--name", "one") as server:
        yield server


@contextmanager
def listening(kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        yield listener


def address(listener: socket.socket) -> str:
    return "{}:{}".format(*listener.getsockname())


def closed_port(kind: int = socket.SOCK_STREAM) -> str:
    with listening(kind) as listener:
        return address(listener)


def unanswered(listener: socket.socket, reply: bytes | None) -> threading.Thread:
    """Take one connection; answer it with `reply`, or reset it where that is None."""

    def run() -> None:
        connection, _ = listener.accept()
        connection.recv(4096)
        if reply is None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            connection.sendall(reply)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_server_tells_its_name_and_counts(program: Path, server: Server) -> None:
    assert ask(program, "tcp", server.tcp, "--echo").answer["answer"]["pod"] == "one"
    assert ask(program, "udp", server.udp).answer["answer"]["pod"] == "one"
    server.get("readyz")

    told = server.get("")

    assert told["name"] == "one"
    assert told["in_flight"] == 0
    assert told["served"] == {"tcp": 1, "udp": 1, "/readyz": 1}
    assert server.get("requests")["served"]["/"] == 1


def test_health_is_what_control_says(server: Server) -> None:
    assert server.get("healthz") == server.get("readyz") == {"ok": True}

    assert server.post("control", {"ready": False}) == {"live": True, "ready": False, "delay": "0s"}

    assert server.get("healthz") == {"ok": True}
    with pytest.raises(HTTPError) as refused:
        server.get("readyz")
    refused.value.close()
    assert refused.value.code == 503


def test_a_delay_makes_an_answer_late(program: Path, server: Server) -> None:
    server.post("control", {"delay": "60s"})

    assert ask(program, "http", server.url("healthz"), "--timeout", "50ms").answer["class"] == "timeout"
    assert server.get("signals")["signals"] == []


@pytest.mark.parametrize("body", [{"reddy": False}, {"delay": "2 h"}, {"delay": "-1s"}, {"live": 1}])
def test_a_wrong_wish_changes_nothing(server: Server, body: dict[str, object]) -> None:
    with pytest.raises(HTTPError) as refused:
        server.post("control", {"ready": False, **body})
    refused.value.close()

    assert refused.value.code == 400
    assert server.get("readyz") == {"ok": True}


def test_sigterm_is_followed_by_the_linger_and_a_good_end(program: Path) -> None:
    with Server.started(program, "--linger", "1s") as server:
        server.end()
        server.until("signal")

        answer = ask(program, "http", server.url()).answer
        server.end()
        server.until("signal")
        signals = server.get("signals")

        assert answer["ok"]
        assert server.wait() == 0
        assert [one["signal"] for one in signals["signals"]] == ["SIGTERM", "SIGTERM"]
        assert all(RFC3339.fullmatch(one["at"]) for one in signals["signals"])
        server.until("stopped")
        assert ask(program, "http", server.url()).answer["class"] == "refused"


def test_without_linger_the_server_ends_at_once(server: Server) -> None:
    server.end()

    assert server.wait() == 0
    assert server.until("stopping")["in_flight"] == 0


def test_a_request_in_flight_is_finished(program: Path, server: Server) -> None:
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(ask, program, "http", f"{server.url()}?delay=1s", "--timeout", "20s")
        eventually(lambda: server.get("requests")["in_flight"] == 1, "the request in flight")
        server.end()
        assert server.until("stopping")["in_flight"] == 1

        assert slow.result().answer["answer"]["status"] == 200
    assert server.wait() == 0


def test_a_server_that_ends_sheds_its_connections(program: Path) -> None:
    with Server.started(program, "--linger", "60s") as server:
        kept = http.client.HTTPConnection(server.http, timeout=DEADLINE)
        kept.request("GET", "/")
        before = kept.getresponse()
        before.read()
        server.end()
        server.until("signal")
        kept.request("GET", "/")
        after = kept.getresponse()
        after.read()

        assert before.getheader("Connection") is None
        assert after.getheader("Connection") == "close"
        kept.close()


def test_prestop_and_other_signals_are_recorded(server: Server) -> None:
    server.get("prestop")
    server.end(signal.SIGUSR1)
    server.until("signal")

    told = server.get("signals")

    assert [one["signal"] for one in told["signals"]] == ["SIGUSR1"]
    assert len(told["prestop"]) == 1
    assert server.process.poll() is None
    assert [line["event"] for line in server.log] == ["started", "listening", "prestop", "signal"]


def test_sigterm_during_the_start_delay_ends_it(program: Path) -> None:
    process = subprocess.Popen([program, "serve", "--start-delay", "1h"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "started" in process.stdout.readline()

    process.terminate()

    rest, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert "listening" not in rest


def test_a_closed_port_is_refused(program: Path) -> None:
    assert ask(program, "tcp", closed_port()).answer["class"] == "refused"
    assert ask(program, "http", f"http://{closed_port()}/").answer["class"] == "refused"
    assert ask(program, "udp", closed_port(socket.SOCK_DGRAM)).answer["class"] == "refused"


def test_silence_is_a_timeout(program: Path) -> None:
    with listening() as silent, listening(socket.SOCK_DGRAM) as deaf:
        for asked in (
            ("http", f"http://{address(silent)}/"),
            ("tcp", "--echo", address(silent)),
            ("udp", address(deaf)),
            ("dns", "a.example.", "--server", address(deaf)),
        ):
            answer = ask(program, *asked, "--timeout", "250ms").answer
            assert (answer["ok"], answer["class"]) == (False, "timeout"), asked
        tries = 0
        while select.select([deaf], [], [], 0)[0]:
            tries += len(deaf.recv(4096)) == 27
    assert tries == 5


def test_a_reset_is_told_from_a_strange_answer(program: Path) -> None:
    with listening() as listener:
        for reply, kind in ((None, "reset"), (b"", "reset"), (b"something else\n", "other")):
            taker = unanswered(listener, reply)
            assert ask(program, "tcp", "--echo", address(listener)).answer["class"] == kind
            taker.join()


def test_an_answer_that_breaks_off_is_no_answer(program: Path) -> None:
    with listening() as listener:
        taker = unanswered(listener, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        answer = ask(program, "http", f"http://{address(listener)}/").answer
        taker.join()

    assert (answer["ok"], answer["class"], answer["answer"]["body"]) == (False, "reset", "half")


def test_the_status_is_a_class_of_its_own(program: Path, server: Server) -> None:
    answer = ask(program, "http", server.url("nowhere")).answer

    assert (answer["ok"], answer["class"], answer["answer"]["status"]) == (False, "status", 404)
    assert answer["answer"]["pod"] == "one"


def test_a_server_without_tls_is_a_class_of_its_own(program: Path, server: Server) -> None:
    assert ask(program, "http", f"https://{server.http}/").answer["class"] == "tls"


def test_no_answer_of_udp_is_taken_from_a_wrong_echo(program: Path) -> None:
    with listening(socket.SOCK_DGRAM) as liar, ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, program, "udp", address(liar))
        _, client = liar.recvfrom(4096)
        liar.sendto(b"something else", client)

        assert asked.result().answer["class"] == "other"


def reply_to(query: bytes, code: int, records: bytes = b"", count: int = 0) -> bytes:
    end = query.index(b"\0", 12) + 5
    flags = (0x8180 | code).to_bytes(2, "big")
    return query[:2] + flags + b"\0\1" + count.to_bytes(2, "big") + b"\0\0\0\0" + query[12:end] + records


@pytest.mark.parametrize(
    ("code", "records", "expected"),
    [
        (0, b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0\7", (True, "", ["10.0.0.7"], False)),
        (3, b"", (False, "dns", [], True)),
        (2, b"", (False, "dns", [], False)),
    ],
    ids=["found", "no such name", "server failure"],
)
def test_what_a_name_server_says_is_told_apart(
    program: Path, code: int, records: bytes, expected: tuple[object, ...]
) -> None:
    with listening(socket.SOCK_DGRAM) as server, ThreadPoolExecutor() as pool:
        server.settimeout(0.05)
        asked = pool.submit(ask, program, "dns", "web.example.", "--server", address(server))
        while not asked.done():
            try:
                query, client = server.recvfrom(4096)
            except TimeoutError:
                continue
            server.sendto(reply_to(query, code, records, bool(records)), client)
        answer = asked.result().answer

    assert (answer["ok"], answer["class"], answer["answer"]["records"], answer["answer"]["not_found"]) == expected


@pytest.mark.parametrize(
    "words",
    [
        [], ["nonsense"], ["http"], ["http", "ftp://x/"], ["http", "x"], ["http", "http://a/", "b"], ["tcp", "host"],
        ["tcp", "a:1", "--timeout", "-1s"], ["udp", "a:1", "--timeout", "soon"], ["dns", "a", "--type", "MX"],
        ["dns", "a", "--type", "PTR"], ["dns", "127.0.0.1"], ["write", "/tmp/x"], ["load", "http://a/", "--rate", "0"],
        ["load", "http://a/", "--rate", "0.1", "--seconds", "1"], ["spin"], ["crash", "--code", "256"], ["sleep", "x"],
        ["read", "/var/run/secrets/kubernetes.io/serviceaccount/token"], ["read", "/dev/zero"], ["serve", "--linger", "-1s"],
    ],
)  # fmt: skip
def test_wrong_use_is_told_and_has_its_exit_code(program: Path, words: list[str]) -> None:
    said = ask(program, *words)

    assert said.code == 2
    assert said.err.startswith("probe: ")
    assert said.out == ""


def test_files_are_written_read_and_refused(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"

    assert ask(program, "write", str(file), "one").answer["answer"] == {"bytes": 3}
    assert ask(program, "read", str(file)).answer["answer"] == {"text": "one", "cut": False}
    file.write_text("x" * 2000)
    assert ask(program, "read", str(file)).answer["answer"] == {"text": "x" * 1024, "cut": True}
    assert ask(program, "read", str(tmp_path / "none")).answer["class"] == "missing"
    assert ask(program, "write", str(tmp_path / "none" / "file"), "x").answer["class"] == "missing"


def test_chores(program: Path) -> None:
    spun = ask(program, "spin", "--seconds", "0.2").answer
    assert spun["answer"]["cpu_seconds"] > 0
    assert ask(program, "crash", "--after", "1ms", "--code", "7").code == 7
    assert ask(program, "sleep", "0").answer["ok"]
    sleeper = subprocess.Popen([program, "sleep", "3600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert sleeper.stderr is not None
    assert "sleeping" in sleeper.stderr.readline()
    sleeper.terminate()
    out, _ = sleeper.communicate(timeout=DEADLINE)
    assert sleeper.returncode == 0
    assert "ended by SIGTERM" in out
