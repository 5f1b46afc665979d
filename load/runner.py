"""Runs a scenario: Locust in a process of its own, with a deadline, and its raw samples read back."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from fixtures.limits import LOAD_CONNECTIONS, LOAD_IN_FLIGHT, LOAD_REQUEST_DEADLINE, LOAD_START_DEADLINE, LOAD_WARM_UP
from load.samples import DROPPED, Sample, read
from load.scenario import PLAN, LoadError, Plan, Scenario, Target

ROOT = Path(__file__).resolve().parent.parent

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one run gave.

    `started` is the wall clock at the start of the measured time and `origin` the same moment on this machine's
    monotonic clock, to lay the samples beside other timelines; `generator_cpu` is in cores; `whole` says that the
    schedule was sent to its end and the samples' file was closed properly; `trouble` says why not.
    """

    scenario: Scenario
    rate: float
    seconds: float
    seed: int
    started: datetime
    origin: float
    generator_cpu: float
    connections: int
    whole: bool
    trouble: str
    samples: tuple[Sample, ...]
    path: Path

    @property
    def measured(self) -> tuple[Sample, ...]:
        """The samples without the warm-up's."""
        return tuple(sample for sample in self.samples if sample.intended >= 0)

    @property
    def intended(self) -> int:
        """How many requests the schedule holds."""
        return round(self.rate * self.seconds)

    @property
    def sent(self) -> int:
        """How many requests of the measured time were sent."""
        return sum(sample.code != DROPPED for sample in self.measured)


@dataclass(slots=True)
class _Heard:
    """What the generator said over its pipe."""

    facts: dict[str, Any] = field(default_factory=dict)
    rest: bytes = b""

    def take(self, data: bytes) -> list[dict[str, Any]]:
        *lines, self.rest = (self.rest + data).split(b"\n")
        said = [json.loads(line) for line in lines if line]
        for one in said:
            self.facts.update(one)
        return said


def run(
    scenario: Scenario,
    target: Target,
    out: Path,
    *,
    rate: float,
    seconds: float,
    seed: int,
    deadline: float | None = None,
    warm_up: float = LOAD_WARM_UP.value,
    in_flight: int = int(LOAD_IN_FLIGHT.value),
    request_deadline: float = LOAD_REQUEST_DEADLINE.value,
    progress: Progress | None = None,
) -> LoadResult:
    """Send the scenario's requests at `rate` a second for `seconds`, and keep the samples in `out`.

    Writes `out/<scenario>.csv.gz`. `deadline` is in seconds for the whole run; the default is what the run needs at
    most. A run that is cut short is returned with what it measured and `whole` false. Raises LoadError when there are
    no samples at all, ValueError for a rate or duration that is not positive.
    """
    if rate <= 0 or seconds <= 0:
        raise ValueError(f"a load of {rate:g}/s for {seconds:g} s sends nothing")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{scenario.name}.csv.gz"
    path.unlink(missing_ok=True)
    needed = LOAD_START_DEADLINE.value + warm_up + seconds + 2 * request_deadline
    reading, writing = os.pipe()
    try:
        plan = Plan(
            rows=scenario.rows,
            target=target,
            rate=rate,
            seconds=seconds,
            warm_up=warm_up,
            seed=seed,
            in_flight=in_flight,
            connections=min(in_flight, int(LOAD_CONNECTIONS.value)),
            deadline=request_deadline,
            samples=str(path.resolve()),
            progress=writing,
            parent=os.getpid(),
        )
        with tempfile.TemporaryDirectory(prefix="kubeworthy-load-") as folder, tempfile.TemporaryFile() as log:
            process = _start(scenario, plan, Path(folder), log)
            os.close(writing)
            writing = -1
            heard, trouble = _attend(process, reading, deadline or needed, seconds, progress)
            log.seek(0)
            return _result(scenario, plan, heard, trouble, log.read().decode(errors="replace"))
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _start(scenario: Scenario, plan: Plan, folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    plan.write(folder / "plan.json")
    # Locust reads its settings from LOCUST_* and ~/.locust.conf as well; none of a user's own may change the load.
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    surroundings |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), PLAN: str(folder / "plan.json")}
    options = "--headless --users 1 --spawn-rate 1 --only-summary --exit-code-on-error 0 --loglevel WARNING"
    return subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(scenario.locustfile), *options.split()],
        cwd=folder,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(plan.progress,),
    )


def _attend(
    process: subprocess.Popen[bytes], pipe: int, deadline: float, seconds: float, progress: Progress | None
) -> tuple[dict[str, Any], str]:
    """Listen until the generator ends or the deadline passes; end it in any case. Returns its facts and any trouble."""
    heard, ends = _Heard(), time.monotonic() + deadline
    try:
        while (left := ends - time.monotonic()) > 0:
            if not select.select([pipe], [], [], left)[0]:
                continue
            data = os.read(pipe, 1 << 16)
            if not data:
                break
            for said in heard.take(data):
                if progress and "at" in said:
                    progress(_line(said, seconds))
        else:
            return heard.facts, f"the load was not done after {deadline:.0f} s and was ended"
        code = process.wait(timeout=max(1.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        return heard.facts, "" if heard.facts.get("ended") else "Locust closed its pipe and did not end"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return heard.facts, "" if heard.facts.get("ended") else f"Locust ended early, with exit code {code}"


def _line(said: dict[str, Any], seconds: float) -> str:
    if said["at"] < 0:
        return f"warming up, {said['sent']} requests"
    troubles = "".join(f", {said[name]} {name}" for name in ("failed", "dropped") if said[name])
    return f"{min(said['at'], seconds):.0f} of {seconds:.0f} s, {said['sent']} requests{troubles}"


def _result(scenario: Scenario, plan: Plan, facts: dict[str, Any], trouble: str, log: str) -> LoadResult:
    path = Path(plan.samples)
    if "origin" not in facts or not path.exists():
        tail = "\n".join(log.strip().splitlines()[-15:])
        raise LoadError(f"no load was generated: {trouble or 'no samples were written'}. Locust wrote:\n{tail}")
    samples, closed = read(path)
    if not trouble and not closed:
        trouble = "the file of samples is cut short"
    if not trouble and facts.get("unanswered"):
        trouble = f"{facts['unanswered']} requests were still without an answer at the end"
    return LoadResult(
        scenario=scenario,
        rate=plan.rate,
        seconds=plan.seconds,
        seed=plan.seed,
        started=datetime.fromtimestamp(facts["started"], UTC),
        origin=facts["origin"],
        generator_cpu=round(facts.get("cpu", 0.0), 4),
        connections=facts.get("connections", 0),
        whole=not trouble,
        trouble=trouble,
        samples=tuple(samples),
        path=path,
    )
