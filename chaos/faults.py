"""Faults on the processes of a control plane, each with the proof that it landed."""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.embedded.state import Member
from fixtures.limits import CHAOS_LANDED_DEADLINE


class NoTargetError(Exception):
    """There is nothing that may be hit: no such member, no leader, or nobody who could take over."""


class NotLandedError(Exception):
    """The fault was sent and did nothing: the process it was meant for still runs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that landed: the member as it was, the signal, and when it was sent and proved (monotonic seconds).

    The proof is the kernel's: the process with this pid and this start time has ended.
    """

    member: Member
    signal: str
    sent: float
    proved: float


def kill(cluster: EmbeddedCluster, member: Member, number: int) -> Fault:
    """Send a signal to a member and wait for the proof that its process has ended.

    Raises NoTargetError where it had ended before, NotLandedError where it still runs after CHAOS_LANDED_DEADLINE.
    """
    process = member.process
    handle = process.watch()
    if handle is None:
        raise NoTargetError(f"{member} (process {member.pid}) had ended before the fault")
    try:
        sent = time.monotonic()
        if number:
            cluster.signal(member, signal.Signals(number))
        readable, _, _ = select.select([handle], [], [], CHAOS_LANDED_DEADLINE.value)
        proved = time.monotonic()
    finally:
        os.close(handle)
    name = signal.Signals(number).name if number else "signal 0"
    if not readable or process.running:
        raise NotLandedError(f"{name} was sent to {member}, but process {member.pid} still runs")
    return Fault(member, name, sent, proved)


def members_of(cluster: EmbeddedCluster, component: str) -> list[Member]:
    """The members of a component whose processes run."""
    return [member for member in cluster.members if member.component == component and cluster.alive(member)]


def dead(cluster: EmbeddedCluster) -> list[Member]:
    """The members of the cluster whose processes have ended."""
    return [member for member in cluster.members if not cluster.alive(member)]


def spare_server(cluster: EmbeddedCluster) -> int:
    """The API server whose loss harms least: one that serves neither the leading controller manager nor scheduler.

    Each member's components use the API server of the same index. A controller that loses its server is behind for up to
    half a minute after it is back (client-go's reflectors back off), which would reach into the next experiment.
    """
    leaders = [cluster.leader(component) for component in ("kube-controller-manager", "kube-scheduler")]
    busy = {leader.index for leader in leaders if leader is not None}
    every = [member.index for member in cluster.members if member.component == "kube-apiserver"]
    return next((index for index in reversed(every) if index not in busy), every[-1])


def command_line(member: Member) -> list[str]:
    """The arguments that a member's process was started with. Raises OSError where it has ended."""
    return Path(f"/proc/{member.pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
