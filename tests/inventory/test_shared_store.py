"""The folder that workers share: each value is made once, by one of them, and parts that were shared stay so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.inventory.clean import Shared
from fixtures.inventory.store import Store

WORKER = """
import sys, time
from pathlib import Path
from fixtures.inventory.store import Store
def make():
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(0.3)
    return {"value": [1, "two", None, True, 2.5]}
print(Store(Path(sys.argv[1])).once("thing", make))
"""


def test_processes_that_ask_at_once_make_a_value_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path / "shared"), str(tmp_path / "log")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {one.communicate(timeout=60)[0] for one in running}
    assert answers == {"{'value': [1, 'two', None, True, 2.5]}\n"}
    assert (tmp_path / "log").read_text() == "made\n"


def test_a_value_that_could_not_be_made_is_asked_for_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.once("thing", lambda: 1 // 0)
    assert store.once("thing", lambda: 7) == 7
    assert Store(tmp_path).once("thing", lambda: 8) == 7


def test_shared_parts_stay_equal_and_become_one(tmp_path: Path) -> None:
    def pod(name: str) -> dict[str, object]:
        container = {
            "name": name,
            "securityContext": {"capabilities": {"drop": ["ALL"]}, "runAsUser": 1, "privileged": True},
        }
        return {"spec": {"containers": [container], "hostNetwork": False}}

    shared = Shared()
    pods = [shared.whole(pod("a")), shared.whole(pod("b"))]
    assert pods == [pod("a"), pod("b")]
    for one, other in (pods, Store(tmp_path).once("pods", lambda: pods), Store(tmp_path).once("pods", list)):
        first, second = one["spec"]["containers"][0], other["spec"]["containers"][0]
        assert first["securityContext"] is second["securityContext"]
        assert first["securityContext"]["privileged"] is True
        assert (first["name"], second["name"]) == ("a", "b")
