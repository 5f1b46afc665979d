"""The token bucket: as many at once as the burst, then no faster than the rate, over threads and processes."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.api import Api, Budget, TimedOut
from tests.inventory.loopback import Answer, kubeconfig, serving


def test_a_burst_is_free_and_what_follows_waits() -> None:
    budget = Budget(50, 5)
    began = time.monotonic()
    assert all(budget.take(5) for _ in range(15))
    assert time.monotonic() - began >= 10 / 50 * 0.9
    assert budget.taken == 15


def test_a_wait_longer_than_allowed_takes_nothing() -> None:
    budget = Budget(0.1, 1)
    assert budget.take(0)
    assert not budget.take(1)
    assert budget.taken == 1


def test_threads_draw_from_one_bucket() -> None:
    budget = Budget(100, 1)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: budget.take(5), range(31)))
    assert time.monotonic() - began >= 30 / 100 * 0.9


def test_processes_draw_from_one_bucket(tmp_path: Path) -> None:
    path = tmp_path / "budget.json"
    code = f"""
import time
from pathlib import Path
from fixtures.api_budget import Budget
budget = Budget(50, 1, Path({str(path)!r}))
began = time.monotonic()
for _ in range(20):
    assert budget.take(30)
print(began, time.monotonic())
"""
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    spans = [tuple(map(float, one.communicate(timeout=60)[0].split())) for one in running]
    assert Budget(50, 1, path).taken == 60
    assert max(end for _, end in spans) - min(start for start, _ in spans) >= 59 / 50 * 0.9


@pytest.mark.parametrize(("qps", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_budget_that_would_never_give_a_token_is_refused(qps: float, burst: float) -> None:
    with pytest.raises(ValueError, match="qps"):
        Budget(qps, burst)


def test_a_client_out_of_budget_sends_nothing(tmp_path: Path) -> None:
    with serving(lambda _: Answer({})) as server:
        api = Api.connect(kubeconfig(tmp_path, server.url), budget=Budget(0.01, 1), timeout=0.2)
        api.get("/version")
        with pytest.raises(TimedOut, match="request budget"):
            api.get("/version")
        assert len(server.asked) == 1
