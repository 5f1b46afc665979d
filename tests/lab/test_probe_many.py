"""The probe's program when it is asked many things at once, or one thing for a while; and flows that are judged by it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures.clusters.embedded.progress import Progress
from fixtures.lab import names
from fixtures.lab.flows import Flow, await_flows
from fixtures.lab.image import probe_program
from fixtures.lab.probe import Answer
from fixtures.lab.spread import Post, usable
from fixtures.lab.waiting import Missed
from fixtures.limits import LAB_SPREAD_NODES
from tests.clusters.embedded_tools import eventually
from tests.lab.probe_tools import RFC3339, Server, ask

CLOSED = "127.0.0.1:1"
_HEADER = 12
_NO_ERROR, _NO_SUCH_NAME = 0x8580, 0x8583


@pytest.fixture(scope="module")
def program() -> Path:
    return probe_program(Progress(sys.stderr))


@pytest.fixture
def server(program: Path) -> Iterator[Server]:
    with Server.started(program, "--name", "one") as server:
        yield server


@contextmanager
def name_server(*lost: int) -> Iterator[str]:
    """A name server that knows 10.0.0.1 for a name that begins with y, nothing else, and loses queries by their number."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))

    def run() -> None:
        number = 0
        while True:
            query, client = listener.recvfrom(512)
            if not query:
                return
            number += 1
            if number in lost:
                continue
            end = query.index(b"\0", _HEADER) + 5
            known = query[_HEADER + 1 : _HEADER + 2] == b"y" and query[end - 4 : end - 2] == b"\0\1"
            flags = _NO_ERROR if known else _NO_SUCH_NAME
            head = query[:2] + flags.to_bytes(2) + b"\0\1" + int(known).to_bytes(2) + b"\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\4\x0a\0\0\1" if known else b""
            listener.sendto(head + query[_HEADER:end] + record, client)

    thread = threading.Thread(target=run)
    thread.start()
    host, port = listener.getsockname()
    yield f"{host}:{port}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"", (host, port))
    thread.join()
    listener.close()


def test_many_questions_have_an_answer_each(program: Path, server: Server) -> None:
    words = ["tcp", server.tcp, "--echo", "--", "tcp", CLOSED, "--", "http", server.url()]

    found = ask(program, "all", *words).answer

    assert not found["ok"]
    assert [one["class"] for one in found["answer"]] == ["", "refused", ""]
    assert found["answer"][2]["answer"]["pod"] == "one"


@pytest.mark.parametrize("words", [[], ["serve"], ["tcp", CLOSED, "--", "--", "tcp", CLOSED], ["tcp", "nowhere"]])
def test_many_questions_of_which_one_is_wrong_are_not_asked(program: Path, words: list[str]) -> None:
    assert ask(program, "all", *words).code == 2


def test_payloads_arrive_whole(program: Path, server: Server) -> None:
    assert ask(program, "tcp", server.tcp, "--payload", "65536").answer["answer"]["pod"] == "one"
    assert ask(program, "udp", server.udp, "--payload", "1400").answer["answer"]["pod"] == "one"
    assert ask(program, "udp", server.udp, "--payload", "65536").code == 2


def test_a_payload_that_comes_back_changed_is_noticed(program: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"something else\n")
            connection.recv(1 << 16)
            connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        found = ask(program, "tcp", "{}:{}".format(*listener.getsockname()), "--payload", "2000").answer
        thread.join()

    assert found["error"] == "what came back is not what was sent"


def test_a_held_connection_lasts(program: Path, server: Server) -> None:
    found = ask(program, "hold", server.tcp, "--seconds", "0.5", "--interval", "50ms").answer

    assert found["ok"]
    assert found["answer"]["echoes"] > 1
    assert RFC3339.fullmatch(found["answer"]["last"])


def test_a_held_connection_that_ends_is_told(program: Path) -> None:
    with Server.started(program) as server:
        holding = subprocess.Popen(
            [program, "hold", server.tcp, "--seconds", "30", "--interval", "50ms"], stdout=subprocess.PIPE, text=True
        )
        eventually(lambda: server.get("requests")["served"].get("tcp"), "an echo")
        server.process.kill()
        out, _ = holding.communicate(timeout=30)

    assert '"class":"reset"' in out


def test_queries_that_get_no_answer_are_counted_one_by_one(program: Path) -> None:
    with name_server(3, 7) as where:
        words = ["dns", "yes.test.", "--server", where, "--times", "10", "--timeout", "100ms"]
        found = ask(program, *words).answer

    assert found["class"] == "timeout"
    assert (found["answer"]["asked"], found["answer"]["failed"]) == (10, 2)
    assert found["answer"]["distinct"] == [["10.0.0.1"]]
    assert found["answer"]["gap"] >= 0.1


def test_a_name_server_that_is_gone_is_not_asked_to_the_end(program: Path) -> None:
    with name_server(*range(1, 100)) as where:
        words = ["dns", "yes.test.", "--server", where, "--times", "100", "--timeout", "50ms"]

        assert ask(program, *words).answer["answer"]["asked"] == 5
        assert (
            ask(program, *words[:-4], "--times", "8", "--timeout", "50ms", "--every", "1ms").answer["answer"]["asked"]
            == 8
        )


def looked_up(program: Path, where: str, question: tuple[str, ...]) -> Answer:
    found = ask(program, *question, "--server", where).answer
    return Answer(found["ok"], found["class"], found["error"], found["seconds"], found["answer"])


def test_answers_of_name_servers_are_held_against_what_is_expected(program: Path) -> None:
    with name_server() as where:
        known = looked_up(program, where, tuple(names.often("yes.test.", times=3)))
        unknown = looked_up(program, where, tuple(names.often("no.test.", times=3)))
        one = looked_up(program, where, tuple(names.once("no.test.")))

    assert names.wrong(known, ["10.0.0.1"]) == ""
    assert names.wrong(known, ["10.0.0.2"]) == "answered 10.0.0.1"
    assert names.wrong(known, []) == "answered 10.0.0.1"
    assert names.wrong(unknown, []) == ""
    assert names.wrong(unknown, ["10.0.0.1"]) == "no such name"
    assert names.records(one) == []


def test_lost_queries_are_wrong_also_where_no_record_is_expected(program: Path) -> None:
    with name_server(2) as where:
        lost = looked_up(program, where, (*names.often("no.test.", times=3), "--timeout", "100ms"))

    assert names.wrong(lost, []).startswith("1 of 3 queries failed (timeout: ")


class Local:
    """A probe on this machine."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def many(self, *words: str, timeout: float) -> list[Answer]:
        found = ask(self.program, "all", *words).answer["answer"]
        return [Answer(one["ok"], one["class"], one["error"], one["seconds"], one["answer"]) for one in found]


def local(program: Path, *question: str) -> Flow:
    probe: Any = Local(program)
    return Flow(" ".join(question), Post("here", probe, "127.0.0.1"), question)


def test_flows_that_are_as_wanted(program: Path, server: Server) -> None:
    opened, closed = local(program, "tcp", server.tcp, "--echo"), local(program, "tcp", CLOSED)

    assert await_flows({opened: True, closed: False}, 30).wrong == {}


def test_flows_that_are_not_as_wanted_are_named(program: Path, server: Server) -> None:
    opened, closed = local(program, "tcp", server.tcp, "--echo"), local(program, "tcp", CLOSED)

    wrong = await_flows({opened: False, closed: True}, 0).wrong

    assert wrong[opened] == "ok"
    assert "connection refused" in wrong[closed]


def test_a_flow_that_fails_for_another_reason_is_not_taken_for_blocked(program: Path, server: Server) -> None:
    with pytest.raises(Missed, match="status"):
        await_flows({local(program, "http", server.url("nothing-here")): False}, 0)


def node(name: str, *, ready: str = "True", system: str = "linux") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/os": system}},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def test_nodes_that_pods_can_run_on() -> None:
    assert usable([node("b"), node("a"), node("down", ready="Unknown"), node("win", system="windows")]) == (
        ["a", "b"],
        ["down"],
    )


def test_of_many_nodes_a_sample() -> None:
    most = int(LAB_SPREAD_NODES.value)

    ready, _ = usable([node(f"node-{number}") for number in range(2 * most)])

    assert len(set(ready)) == most
