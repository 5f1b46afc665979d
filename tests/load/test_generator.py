"""The generator measures what happened: a stall shows, a refusal is no speed, and a run cut short says so."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from load.client import Client
from load.judgement import Gates, Outcome, doubts, failed_share, statistics
from load.mix import READ_BASELINE
from load.runner import LoadResult, run
from load.samples import Sample, read
from load.scenario import LoadError, Row, Scenario, Target, arrivals
from tests.load.stub_server import BODY, self_signed, stub

ROW = Row("GET", "services", "resource", "quorum", "/one", "Service", 1)
SCENARIO = Scenario("stub", READ_BASELINE, (ROW,))
GENEROUS = Gates(achieved=0.95, generator_cpu=10.0)
"""What depends on how busy this machine is has no place in a test of the arithmetic."""


def send(url: str, out: Path, rate: float = 40.0, seconds: float = 6.0, **more: Any) -> LoadResult:
    return run(
        SCENARIO, Target((url,)), out, rate=rate, seconds=seconds, seed=5, warm_up=0.5, request_deadline=4, **more
    )


def doubtful(result: LoadResult) -> tuple[str, ...]:
    return doubts(
        result.measured, GENEROUS, intended=result.intended, generator_cpu=result.generator_cpu, trouble=result.trouble
    )


def test_a_healthy_server_gives_every_sample(tmp_path: Path) -> None:
    with stub() as server:
        result = send(server.url, tmp_path)

    assert result.whole, result.trouble
    assert result.sent == result.intended == len(result.measured) == 240
    assert not failed_share(result.measured)
    assert doubtful(result) == ()
    samples, whole = read(result.path)
    assert whole
    assert tuple(samples) == result.samples


def test_a_stall_of_two_seconds_is_in_the_p95(tmp_path: Path) -> None:
    with stub() as server:
        server.stall = (2.0, 4.0)
        [row] = statistics(send(server.url, tmp_path).measured)

    # a third of all requests should have started during the stall and waited one second on average
    assert row.p95 is not None
    assert 1.2 < row.p95.interval.value < 3.5
    assert row.p95.against(0.1) is not Outcome.MET


def test_a_server_that_refuses_is_never_fast(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    result = send(url, tmp_path, seconds=2.0)
    [row] = statistics(result.measured)

    assert failed_share(result.measured) == 1.0
    assert row.failed == {"refused": result.intended}
    assert row.p95 is None


def test_another_answer_than_asked_for_is_a_failure(tmp_path: Path) -> None:
    with stub() as server:
        server.body = b'{"kind":"Status"}'
        result = send(server.url, tmp_path, seconds=2.0)

    assert {sample.code for sample in result.measured} == {"wrong-answer"}


def test_arrivals_that_cannot_be_sent_are_dropped_counted_and_doubted(tmp_path: Path) -> None:
    with stub() as server:
        server.delay = 1.0
        result = send(server.url, tmp_path, in_flight=5)

    assert result.sent < 0.95 * result.intended
    assert any("were sent, fewer than 95%" in doubt for doubt in doubtful(result))
    assert failed_share(result.measured) > 0.5


def test_a_killed_generator_leaves_readable_samples_and_a_doubt(tmp_path: Path) -> None:
    killed = threading.Event()

    def kill(line: str) -> None:
        if not line.startswith("warming up") and int(line.split(maxsplit=1)[0]) >= 3 and not killed.is_set():
            killed.set()
            for child in children(os.getpid()):
                os.kill(child, signal.SIGKILL)

    with stub() as server:
        result = run(
            SCENARIO,
            Target((server.url,)),
            tmp_path,
            rate=40,
            seconds=20,
            seed=5,
            warm_up=0.5,
            request_deadline=4,
            progress=kill,
        )

    assert killed.is_set()
    assert not result.whole
    assert 40 < len(result.measured) < result.intended
    assert any("ended early" in doubt for doubt in doubtful(result))


def children(parent: int) -> list[int]:
    """The Locust processes that this process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and b"locust" in (path.parent / "cmdline").read_bytes():
            found.append(int(path.parent.name))
    return found


def test_the_generator_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    with stub() as server:
        child = os.fork()
        if child == 0:
            try:
                run(SCENARIO, Target((server.url,)), tmp_path, rate=20, seconds=60, seed=5)
            finally:
                os._exit(0)
        deadline = time.monotonic() + 60
        while not (started := children(child)) and time.monotonic() < deadline:
            time.sleep(0.05)
        while not (tmp_path / "stub.csv.gz").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while any(Path(f"/proc/{one}").exists() for one in started) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert started
        assert not any(Path(f"/proc/{one}").exists() for one in started)


def test_a_deadline_ends_the_run(tmp_path: Path) -> None:
    with stub() as server:
        result = send(server.url, tmp_path, seconds=60.0, deadline=12.0)

    assert "was ended" in result.trouble
    assert doubtful(result)


def test_the_schedule_is_fixed_by_its_seed_and_holds_every_row_by_its_weight() -> None:
    rows = (ROW, Row("LIST", "pods", "cluster", "quorum", "/pods", "PodList", 3))
    first, again, other = (list(arrivals(rows, 50, 20, 2, seed)) for seed in (1, 1, 2))

    assert first == again != other
    measured = [one for one in first if one.at >= 0]
    assert len(measured) == 1000
    assert sum(one.row == 1 for one in measured) == pytest.approx(750, abs=3)
    assert sorted(one.at for one in first) == [one.at for one in first]


def test_statistics_do_not_depend_on_the_order_of_the_samples() -> None:
    draw = random.Random(3)
    measured = [
        Sample(
            at / 50,
            at / 50,
            at / 50 + draw.random(),
            "GET",
            "pods",
            "resource",
            "cache",
            draw.choice(("200", "429")),
            1,
        )
        for at in range(500)
    ]
    shuffled = draw.sample(measured, len(measured))

    assert statistics(measured) == statistics(shuffled)


def test_the_schedule_goes_on_while_the_server_stalls(tmp_path: Path) -> None:
    with stub() as server:
        server.stall = (1.0, 3.0)
        stalled = send(server.url, tmp_path, seconds=4.0)

    planned = [one.at for one in arrivals((ROW,), 40, 4, 0.5, 5) if one.at >= 0]
    assert sorted(sample.intended for sample in stalled.measured) == pytest.approx(planned, abs=1e-6)
    # a closed loop would have sent nothing during the stall, and these starts would be two seconds late
    assert sum(sample.lag < 0.5 for sample in stalled.measured) > 0.9 * stalled.intended


def test_connections_are_kept_and_the_token_goes_over_tls(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with stub() as server:
        server.encrypt(certificate, key)
        target = Target((server.url,), ca=str(certificate), token="open-sesame")
        result = run(SCENARIO, target, tmp_path, rate=80, seconds=3, seed=5, warm_up=0.5, request_deadline=8)

        assert {sample.code for sample in result.measured} == {"200"}
        assert server.tokens == {"Bearer open-sesame"}
        assert server.connections == result.connections < result.sent / 2


def test_an_unknown_authority_fails_every_request(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with stub() as server:
        server.encrypt(certificate, key)
        result = send(server.url, tmp_path, seconds=1.0)

    assert {sample.code for sample in result.measured} == {"tls"}


def test_a_connection_that_the_server_hung_up_is_no_failure_of_the_next_request() -> None:
    with stub() as server:
        server.hang_up = True
        client = Client(Target((server.url,)), timeout=10)
        first = client.open(0, "/one")
        client.finish(first)
        assert select.select([first.connection.sock], [], [], 10)[0], "the server hangs up"

        status, body = client.get(0, "/one")
        client.close()

    assert (status, body) == (200, BODY)
    assert client.opened == 2


def test_a_connection_that_is_open_is_used_again() -> None:
    with stub() as server:
        client = Client(Target((server.url,)), timeout=10)
        assert [client.get(0, "/one")[0] for _ in range(3)] == [200] * 3
        client.close()

    assert client.opened == 1


@pytest.mark.parametrize("slow", ["delay", "trickle"])
def test_requests_without_an_answer_are_timeouts_and_no_latencies(tmp_path: Path, slow: str) -> None:
    with stub() as server:
        # Bytes that trickle in keep a socket from timing out, so that only the deadline of the whole request ends it.
        setattr(server, slow, {"delay": 6.0, "trickle": 0.3}[slow])
        result = run(
            SCENARIO, Target((server.url,)), tmp_path, rate=5, seconds=2, seed=5, warm_up=0.2, request_deadline=1.0
        )

    assert result.whole, result.trouble
    [row] = statistics(result.measured)
    assert (row.answered, row.failed) == (0, {"timeout": 10})
    assert row.p95 is None


def test_settings_of_the_user_s_own_locust_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_USERS", "0")
    monkeypatch.setenv("LOCUST_RUN_TIME", "1s")
    monkeypatch.setenv("LOCUST_HEADLESS", "false")
    with stub() as server:
        result = send(server.url, tmp_path, seconds=2.0)

    assert result.whole, result.trouble
    assert result.sent == result.intended


def test_a_generator_that_cannot_start_shows_what_locust_wrote(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no such flux capacitor')\n")

    with pytest.raises(LoadError, match=r"(?s)no load was generated: Locust ended early.*no such flux capacitor"):
        run(Scenario("broken", broken, (ROW,)), Target(("http://127.0.0.1:1",)), tmp_path, rate=1, seconds=1, seed=1)


def test_an_error_in_the_generator_ends_the_run_at_once(tmp_path: Path) -> None:
    failing = tmp_path / "failing.py"
    failing.write_text(
        "from load.open_loop import OpenLoopUser, taken_plan\n"
        "class Failing(OpenLoopUser):\n"
        "    plan = taken_plan()\n"
        "    def _open_connections(self):\n"
        "        raise RuntimeError('no such flux capacitor')\n"
    )

    with pytest.raises(LoadError, match=r"(?s)Locust ended early.*no such flux capacitor"):
        run(Scenario("failing", failing, (ROW,)), Target(("http://127.0.0.1:1",)), tmp_path, rate=1, seconds=1, seed=1)


def test_the_plan_with_its_token_is_gone_once_it_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left: list[list[str]] = []
    with stub() as server:
        send(server.url, tmp_path / "out", seconds=2.0, progress=lambda line: left.append(_plans(tmp_path)))

    assert left
    assert not any(left)
    assert not list(tmp_path.glob("kubeworthy-load-*"))


def _plans(folder: Path) -> list[str]:
    return [str(path) for path in folder.glob("kubeworthy-load-*/plan.json")]


@pytest.mark.parametrize(("rate", "seconds"), [(0, 5), (5, 0), (-1, 5)])
def test_a_load_of_nothing_is_a_mistake(tmp_path: Path, rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="sends nothing"):
        run(SCENARIO, Target(("http://127.0.0.1:1",)), tmp_path, rate=rate, seconds=seconds, seed=1)
