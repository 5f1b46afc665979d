"""The probe's open loop, and its questions asked through the server."""

from __future__ import annotations

import json
import socket
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
from tests.lab.probe_tools import RFC3339, Server, ask


@pytest.fixture(scope="module")
def program() -> Path:
    return probe_program(Progress(sys.stderr))


@pytest.fixture
def server(program: Path) -> Iterator[Server]:
    with Server.started(program, "--name", "one", "--remote") as server:
        yield server


@contextmanager
def scripted(answers: str) -> Iterator[str]:
    """A server whose n-th connection is answered (`.`) or closed (`x`) as the n-th letter says."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)

    def run() -> None:
        for letter in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                if letter == ".":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield "http://{}:{}/".format(*listener.getsockname())
    finally:
        thread.join()
        listener.close()


def load(program: Path, url: str, *options: str) -> dict[str, object]:
    found: dict[str, object] = ask(program, "load", url, "--timeout", "20s", *options).answer
    return found


def test_every_request_of_the_schedule_is_answered(program: Path, server: Server) -> None:
    answer = load(program, server.url(), "--rate", "100", "--seconds", "1")
    told = answer["answer"]

    assert answer["ok"] is True
    assert isinstance(told, dict)
    assert {key: told[key] for key in ("intended", "sent", "succeeded", "failed", "not_sent")} == {
        "intended": 100, "sent": 100, "succeeded": 100, "failed": 0, "not_sent": 0,
    }  # fmt: skip
    assert told["pods"] == {"one": 100}
    assert (told["windows"], told["failures"], told["windows_left_off"]) == ([], {}, 0)
    assert set(told["latency"]) == set(told["lag"]) == {"p50", "p95", "p99", "max"}
    assert told["latency"]["p50"] <= told["latency"]["p95"] <= told["latency"]["p99"] <= told["latency"]["max"]
    assert RFC3339.fullmatch(told["started"])
    assert server.get("requests")["served"] == {"/": 100}


# One request every 0.25 s, so that the connections come in the order of the schedule.
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("..xx....", [(0.5, 0.75, 0.25, 1.0, 2)]),
        ("xx....", [(0.0, 0.25, None, 0.5, 2)]),
        ("...xx", [(0.75, 1.0, 0.5, None, 2)]),
        (".x.x...", [(0.25, 0.75, 0.0, 1.0, 2)]),
        (".x...x...", [(0.25, 0.25, 0.0, 0.5, 1), (1.25, 1.25, 1.0, 1.5, 1)]),
        ("xxx", [(0.0, 0.5, None, None, 3)]),
        (".x.", [(0.25, 0.25, 0.0, 0.5, 1)]),
    ],
)
def test_failures_form_windows(program: Path, script: str, expected: list[tuple[object, ...]]) -> None:
    with scripted(script) as url:
        answer = load(program, url, "--rate", "4", "--seconds", str(len(script) / 4), "--new-connections")
    told = answer["answer"]

    assert answer["ok"] is False
    assert isinstance(told, dict)
    keys = ("first", "last", "before", "after", "count")
    assert [tuple(one[key] for key in keys) for one in told["windows"]] == expected
    assert all(one["classes"] == {"reset": one["count"]} for one in told["windows"])
    first, last = script.index("x") / 4, script.rindex("x") / 4
    assert told["failures"] == {"reset": {"count": script.count("x"), "first": first, "last": last}}
    assert told["pods"] == ({"": script.count(".")} if "." in script else {})


def test_nothing_there_is_one_window_to_the_end(program: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://{}:{}/".format(*listener.getsockname())

    answer = load(program, url, "--rate", "100", "--seconds", "0.5")
    told = answer["answer"]

    assert isinstance(told, dict)
    assert (told["succeeded"], told["failed"], told["latency"]) == (0, 50, {})
    assert [(one["count"], one["before"], one["after"]) for one in told["windows"]] == [(50, None, None)]
    assert set(told["failures"]) == {"refused"}


def test_a_slow_answer_does_not_hold_up_the_next(program: Path, server: Server) -> None:
    answer = load(program, f"{server.url()}?delay=1s", "--rate", "20", "--seconds", "1")
    told = answer["answer"]

    assert isinstance(told, dict)
    assert told["succeeded"] == 20
    assert told["latency"]["p50"] >= 1
    assert float(str(answer["seconds"])) < 20  # one after the other they would take that long


def test_what_does_not_fit_in_flight_was_not_sent(program: Path, server: Server) -> None:
    answer = load(program, f"{server.url()}?delay=4s", "--rate", "1100", "--seconds", "1")
    told = answer["answer"]

    assert isinstance(told, dict)
    assert told["not_sent"] > 0
    assert told["sent"] + told["not_sent"] == told["intended"] == 1100
    assert answer["ok"] is False


def test_questions_are_asked_through_the_server(program: Path, server: Server) -> None:
    told = server.post("run", {"args": ["http", server.url()], "seconds": 10})

    assert (told["exit"], told["error"], told["stderr"]) == (0, "", "")
    assert json.loads(told["stdout"])["answer"]["pod"] == "one"
    assert server.until("run")["args"] == ["http", server.url()]
    assert server.post("run", {"args": ["http"], "seconds": 10})["exit"] == 2
    assert server.post("run", {"args": ["crash", "--after", "0s"], "seconds": 10})["exit"] == 3
    assert server.get("readyz") == {"ok": True}


def test_a_question_is_ended_when_its_time_is_up(server: Server) -> None:
    told = server.post("run", {"args": ["sleep", "3600"], "seconds": 0.2})

    assert (told["exit"], told["error"]) == (-1, "not done in the time given")


def test_a_long_question_is_not_silent(server: Server) -> None:
    """What lies between, and the client's own patience between two bytes, must not take it for a dead connection."""
    body = json.dumps({"args": ["sleep", "6"], "seconds": 20}).encode()
    host, _, port = server.http.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /run HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        parts = list(iter(lambda: connection.recv(65536), b""))

    assert len(parts) > 1
    assert json.loads(b"".join(parts).partition(b"\r\n\r\n")[2])["exit"] == 0


@pytest.mark.parametrize(
    "body", [{"args": ["serve"], "seconds": 1}, {"args": [], "seconds": 1}, {"args": ["facts"]}, []]
)
def test_what_is_no_question_is_refused(server: Server, body: object) -> None:
    with pytest.raises(HTTPError) as refused:
        server.post("run", body)
    refused.value.close()

    assert refused.value.code == 400


def test_without_remote_nothing_is_run(program: Path) -> None:
    with Server.started(program) as server:
        with pytest.raises(HTTPError) as refused:
            server.post("run", {"args": ["facts"], "seconds": 1})
        refused.value.close()

    assert refused.value.code == 404


def test_two_questions_at_once(server: Server) -> None:
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(server.post, "run", {"args": ["sleep", "0.2"], "seconds": 10}) for _ in range(2)]

    assert [one.result()["exit"] for one in both] == [0, 0]
