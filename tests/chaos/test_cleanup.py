"""A runner that is killed in the middle of a fault, and the command that cleans up after it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from chaos import mutex
from chaos.servers import Servers
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.undo import Journal

ROOT = Path(__file__).parents[2]
RUNNER = """
import sys
from pathlib import Path
from chaos import bridge, probes
from chaos.experiment import load
from chaos.ground import Ground
import time
probes.clients_fail_over = lambda: time.sleep(60)
with Ground(Path(sys.argv[1])) as ground:
    bridge.run(load("api-server-loss"), ground, None)
"""


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def canary_namespaces(servers: Servers) -> list[str]:
    found = servers.any(lambda api: api.get("/api/v1/namespaces", {"labelSelector": "kubeworthy/run"}))["items"]
    return [namespace["metadata"]["name"] for namespace in found]


def test_a_runner_killed_in_the_middle_of_a_fault_is_cleaned_up_after(embedded: EmbeddedCluster) -> None:
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(embedded.state)], cwd=ROOT)
    servers = [member for member in embedded.members if member.component == "kube-apiserver"]
    try:
        deadline = time.monotonic() + 60
        while all(embedded.alive(member) for member in servers):
            assert runner.poll() is None, "the runner ended before its fault"
            assert time.monotonic() < deadline, "no fault within 60 s"
            time.sleep(0.05)
        under_way = command("cleanup", "--name", embedded.name)
    finally:
        runner.kill()
        runner.wait()
    assert under_way.returncode == 1
    assert "is under way in process" in under_way.stdout
    (member,) = [member for member in servers if not embedded.alive(member)]
    assert not embedded.alive(embedded.member(member.component, member.index)), "a run under way must not be touched"

    clients = Servers(embedded.kubeconfig, embedded.api_servers)
    assert mutex.held_by(clients)
    assert canary_namespaces(clients)

    cleaned = command("cleanup", "--name", embedded.name)
    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    for words in ("api-server-loss", f"restarted {member}", "released the mutex Lease", "removed the namespace"):
        assert words in cleaned.stdout
    assert embedded.healthy(embedded.member(member.component, member.index))
    assert mutex.held_by(clients) == ""
    assert canary_namespaces(clients) == []
    assert Journal.pending(embedded.state) == []

    again = command("cleanup", "--name", embedded.name)
    assert again.returncode == 0
    assert f"{embedded.name}: no run has left anything to undo" in again.stdout
    assert "no run has left anything in a lab" in again.stdout


def test_what_another_machine_left_is_told_and_not_touched(embedded: EmbeddedCluster) -> None:
    servers = Servers(embedded.kubeconfig, embedded.api_servers)
    mutex.acquire(servers, "elsewhere")
    try:
        told = command("cleanup", "--name", embedded.name)
        assert told.returncode == 1
        assert "run elsewhere holds the mutex Lease" in told.stdout
        assert mutex.held_by(servers) == "elsewhere"
    finally:
        mutex.release(servers, "elsewhere")


def test_a_plan_names_who_would_be_hit_and_touches_nothing(embedded: EmbeddedCluster) -> None:
    before = [member.pid for member in embedded.members]
    told = command("plan", "controller-manager-failover", "--name", embedded.name)
    assert told.returncode == 0, told.stderr
    leader = embedded.leader("kube-controller-manager")
    assert leader is not None
    assert f"{leader} leads (process {leader.pid})" in told.stdout
    assert "crash: 13.0 to 23.8 s" in told.stdout
    assert [member.pid for member in embedded.members] == before


def test_without_a_cluster_there_is_a_plan_and_nothing_to_clean_up(tmp_path: Path) -> None:
    told = command("plan", XDG_STATE_HOME=str(tmp_path))
    assert told.returncode == 0
    assert told.stdout.count("no embedded cluster is up") == 4
    cleaned = command("cleanup", XDG_STATE_HOME=str(tmp_path))
    assert (cleaned.returncode, cleaned.stdout.strip()) == (
        0,
        "no embedded or kind cluster of ours is up; for another one, pass --kubeconfig FILE",
    )


def test_mistakes_get_one_line(tmp_path: Path) -> None:
    for arguments in (("plan", "etcd-leader-los"), ("cleanup", "--name", "nowhere")):
        told = command(*arguments, XDG_STATE_HOME=str(tmp_path))
        assert told.returncode == 2
        assert told.stdout == ""
        assert len(told.stderr.splitlines()) == 1


def test_help_teaches() -> None:
    told = command("--help")
    assert told.returncode == 0
    for words in ("pytest chaos", "python -m chaos cleanup", "exit codes"):
        assert words in told.stdout
