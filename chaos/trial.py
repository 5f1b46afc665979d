"""A trial: one run of one experiment on one cluster, with all that it watches, has broken and has promised to undo.

Chaos Toolkit calls plain functions with JSON arguments, so the trial that they work on is kept here. There is one at a
time: Chaos Toolkit itself keeps its state in globals and cannot run two experiments in a process.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from chaos import mutex, restore
from chaos.canary import Canary, Lag
from chaos.failover import Failover, LeaseWatch
from chaos.faults import Fault, NoTargetError, dead, kill, members_of, spare_server
from chaos.ground import Ground
from chaos.lease import Bound, LeaseRecord
from chaos.ledger import Balance, Ledger, total
from chaos.prober import FailingOver, Prober
from chaos.workloads import RUN_LABEL, Canaries
from fixtures.clusters.embedded.state import Member
from fixtures.limits import CHAOS_ABORT_OUTAGE, CHAOS_DEADLINE
from fixtures.undo import Journal, Promise

CLIENT = "client that fails over"
STOP_FILE = "stop"


class AbortedError(Exception):
    """The trial has to stop; the message says why."""


@dataclass
class Observed:
    """What a trial saw. Times are monotonic seconds."""

    lag: Lag | None = None
    bound: Bound | None = None
    before: LeaseRecord | None = None
    failover: Failover | None = None
    probers: dict[str, Prober] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    balance: Balance | None = None
    lost_events: tuple[int, ...] | None = None
    watch_breaks: int = 0
    watch_gaps: int = 0
    new_leader: tuple[str, float] | None = None
    placed: dict[str, str] = field(default_factory=dict)
    displaced: tuple[str, ...] = ()
    undo_began: float | None = None
    marks: list[tuple[float, str, str]] = field(default_factory=list)

    def mark(self, lane: str, label: str, at: float | None = None) -> None:
        """Note an event for the timeline, now unless `at` says otherwise."""
        self.marks.append((time.monotonic() if at is None else at, lane, label))


class Trial:
    """Use it as a context manager: entering takes the mutex and makes the canaries, leaving undoes everything."""

    def __init__(self, ground: Ground, experiment: str) -> None:
        """Nothing is touched yet."""
        self.ground, self.experiment = ground, experiment
        self.cluster, self.state, self.servers, self.namespace = (
            ground.cluster,
            ground.state,
            ground.servers,
            ground.namespace,
        )
        self.run = uuid.uuid4().hex[:8]
        self.labels = {RUN_LABEL: self.run}
        self.canaries = Canaries(self.servers, self.namespace, self.run)
        self.victim = spare_server(self.cluster)
        # Watched through the server that may be killed and patched through the next, so that the patches go on.
        watchers, writers = self.servers.apis(self.victim), self.servers.apis(self.victim + 1)
        self.canary = Canary(writers, watchers, self.namespace, self.labels, f"sequence-{self.run}")
        self.observed = Observed()
        self.faults: list[Fault] = []
        self.lease: LeaseWatch | None = None
        self.asked: tuple[str, float] | None = None
        self.cleared = False
        self.failed = ""
        self.aborted = ""
        self.method_runs = False
        self.began = time.monotonic()
        self._journal: Journal | None = None

    def __enter__(self) -> Self:
        global _current  # noqa: PLW0603 - Chaos Toolkit's functions have no other way to their trial
        if _current is not None:
            raise AbortedError(f"{_current.experiment} runs in this process already")
        _current = self
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._journal = Journal.open(self.state, self.run, self.experiment)
        self._journal.promise(Promise("release", name=self.run))
        mutex.acquire(self.servers, self.run)
        self._journal.promise(Promise("clear", name=self.run, namespace=self.namespace))
        self.canaries.create()
        self.canary.start()
        targets = [server.target(self.canary.path) for server in self.servers.all]
        self.probe(CLIENT, Prober(FailingOver(targets)))

    def probe(self, lane: str, prober: Prober) -> None:
        """Start a prober and keep it under the name of its lane."""
        self.observed.probers[lane] = prober
        prober.__enter__()

    def close(self) -> None:
        """Stop watching, keep every promise, forget the journal. Raises what an undo raises; the journal then stays for
        `cleanup`.
        """
        global _current  # noqa: PLW0603
        try:
            self.quiet()
            if self._journal is not None:
                restore.keep(self._journal, self.cluster, self.servers)
                self._journal.settle()
                self._journal = None
        finally:
            if _current is self:
                _current = None

    def quiet(self) -> None:
        """Stop everything that watches or writes. Can be called twice."""
        if self.lease is not None:
            self.lease.stop()
        for prober in self.observed.probers.values():
            prober.stop()
        self.canary.stop()
        self.canaries.stream.stop()

    def restart_members(self) -> list[str]:
        """Restart what is down, if this trial has killed anything; answers what. Raises EmbeddedClusterError."""
        assert self._journal is not None, "the trial is open"
        return restore.members(self._journal, self.cluster)

    def read_ledgers(self) -> Balance:
        """What is left of the acknowledged writes, read once more when all is undone. Raises ApiError."""
        return total(self.servers.any(ledger.balance) for ledger in self.observed.ledgers.values())

    def why_stop(self) -> str:
        """Why the trial must not go on: an activity failed, the operator's stop file, the deadline, an outage too long;
        "" if it may.
        """
        if self.failed:
            return self.failed
        if (self.state / "chaos" / STOP_FILE).exists():
            return f"the stop file {self.state / 'chaos' / STOP_FILE} is there"
        now = time.monotonic()
        if now - self.began > CHAOS_DEADLINE.value:
            return f"the experiment has run for {CHAOS_DEADLINE.value:g} s"
        silent = now - max(self.observed.probers[CLIENT].last_success, self.began)
        if silent > CHAOS_ABORT_OUTAGE.value:
            return f"no API server has answered for {silent:.1f} s"
        return ""

    def go_on(self) -> None:
        """Raise AbortedError where the trial must stop."""
        reason = self.why_stop()
        if reason:
            raise AbortedError(reason)

    def why_not_act(self, component: str, survivors: int) -> str:
        """Why a member of `component` must not be killed now; "" if it may. `survivors` must be left."""
        if self._journal is None:
            return "no undo journal is open"
        holder = mutex.held_by(self.servers)
        if holder != self.run:
            return f"the mutex Lease is held by {holder or 'nobody'} instead of this run"
        down = dead(self.cluster)
        if down:
            return f"{', '.join(map(str, down))} is down already"
        running = len(members_of(self.cluster, component))
        if running - 1 < survivors:
            return f"{component} has {running} running members, and {survivors} have to be left to take over"
        return ""

    def strike(self, find: Callable[[], Member | None], number: int, survivors: int) -> Fault:
        """Write down the undo, kill the member that `find` names, and keep the proof.

        Raises AbortedError unless the guard has cleared this activity, NoTargetError and NotLandedError as
        `faults.kill` does.
        """
        if not self.cleared:
            raise AbortedError("the guard has not cleared this act, so nothing was done")
        self.cleared = False
        member = find()
        if member is None:
            raise NoTargetError("nobody leads, so there is no leader to kill")
        reason = self.why_not_act(member.component, survivors)
        if reason:
            raise NoTargetError(reason)
        assert self._journal is not None, "why_not_act looked"
        self._journal.promise(Promise("restart", component=member.component, index=member.index, pid=member.pid))
        fault = kill(self.cluster, member, number)
        self.faults.append(fault)
        self.observed.mark(member.component, f"{fault.signal}: {member} is gone (process {member.pid})", fault.proved)
        return fault

    @property
    def fault(self) -> Fault:
        """The fault that landed. Raises AbortedError where none did."""
        if not self.faults:
            raise AbortedError("no fault has landed")
        return self.faults[-1]


_current: Trial | None = None


def current() -> Trial:
    """The trial that runs in this process. Raises AbortedError outside of one."""
    if _current is None:
        raise AbortedError("no trial is open; run the experiments with `pytest chaos`")
    return _current
