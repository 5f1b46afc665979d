"""What an experiment does, as Chaos Toolkit calls it: kill one member, ask for work, undo.

Each acts on the trial that is open in this process (`chaos.trial.current`) and answers plain JSON for the journal.
"""

from __future__ import annotations

import signal as signals
import time
from typing import Any

from chaos.faults import Fault
from chaos.trial import current


def kill_leader(component: str, signal: str = "SIGKILL") -> dict[str, Any]:
    """Kill the leader of kube-controller-manager or kube-scheduler, one that says so itself; at least one standby must
    be left.
    """
    trial = current()
    fault = trial.strike(lambda: trial.cluster.leader(component), _number(signal), survivors=1)
    return _proof(fault)


def kill_api_server(signal: str = "SIGKILL") -> dict[str, Any]:
    """Kill the API server whose loss harms least, `Trial.victim`; at least one must be left."""
    trial = current()
    fault = trial.strike(lambda: trial.cluster.member("kube-apiserver", trial.victim), _number(signal), survivors=1)
    return _proof(fault)


def kill_etcd_leader(signal: str = "SIGKILL") -> dict[str, Any]:
    """Kill the leader of etcd; a majority of all members must be left."""
    trial = current()
    total = sum(member.component == "etcd" for member in trial.cluster.members)
    fault = trial.strike(trial.cluster.etcd_leader, _number(signal), survivors=total // 2 + 1)
    return _proof(fault)


def ask_for_work(work: str) -> dict[str, Any]:
    """Give the next leader something to do: `deployment` scales the canary Deployment up, `pod` creates a canary Pod
    without a node.
    """
    trial = current()
    if work == "pod":
        trial.asked = trial.canaries.pod()
    elif work == "deployment":
        trial.asked = ("", trial.canaries.scale())
    else:
        raise ValueError(f"unknown work {work!r}; known: deployment, pod")
    trial.observed.mark("canary", f"asked for work: {work}", trial.asked[1])
    return {"asked_after_fault_s": round(trial.asked[1] - trial.fault.proved, 3)}


def restore_members() -> dict[str, Any]:
    """The undo: restart every member that is down, whether it was killed or fell with another, and wait until each is
    healthy.
    """
    trial = current()
    begin = trial.observed.undo_began = time.monotonic()
    restarted = trial.restart_members()
    for name in restarted:
        trial.observed.mark(name.rpartition(" ")[0], f"{name} restarted")
    return {"restarted": restarted, "seconds": round(time.monotonic() - begin, 3)}


def _number(name: str) -> int:
    # Signal 0 only asks whether a process is there: the broken kill that the suite's own tests send.
    return 0 if name == "0" else signals.Signals[name].value


def _proof(fault: Fault) -> dict[str, Any]:
    member = fault.member
    return {
        "member": str(member),
        "signal": fault.signal,
        "pid": member.pid,
        "started": member.started,
        "landed": True,
        "proof": f"process {member.pid}, started at tick {member.started}, has ended",
        "took_s": round(fault.proved - fault.sent, 4),
    }
