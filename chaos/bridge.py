"""Runs a Chaos Toolkit experiment inside pytest, so that its verdict means something.

chaoslib leaves much to its caller: it does not validate, plays no rollback after a failure unless told to, takes `dry`
only as an enum and ignores it as a string, swallows Ctrl-C, works on the main thread only, and calls a run with a
failed kill completed.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.hypothesis import run_steady_state_hypothesis
from chaoslib.run import EventHandlerRegistry
from chaoslib.types import Dry, Strategy

from chaos import verdict
from chaos.experiment import Plan, load
from chaos.faults import Fault
from chaos.ground import Ground
from chaos.mutex import HeldError
from chaos.report import summary, timeline
from chaos.stream import MissedError
from chaos.trial import AbortedError, Observed, Trial
from fixtures.api import ApiError
from fixtures.clusters.embedded.errors import EmbeddedClusterError
from fixtures.undo import UndoError

SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}
FOLDER = "journals"


@dataclass(frozen=True)
class Outcome:
    """What one run of an experiment proved.

    `inconclusive` says why it proved nothing and `deviation` how the steady state did not come back; both are "" after
    a run that can pass. `evidence` holds paths relative to the bundle.
    """

    plan: Plan
    inconclusive: str
    deviation: str
    fault: Fault | None
    observed: Observed
    evidence: tuple[str, ...] = ()


class BridgeError(Exception):
    """The experiment cannot be run here at all; the message says why. Nothing was done."""


def run(plan: Plan, ground: Ground, bundle: Path | None, number: int = 1) -> Outcome:
    """Run an experiment on the cluster of `ground` and write its journal and timeline into the bundle.

    `number` tells the runs of a repeated experiment apart. Everything is undone before this returns or raises. Raises
    BridgeError for an experiment that is not valid, and KeyboardInterrupt where a person stopped it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise BridgeError("Chaos Toolkit sets signal handlers, so an experiment runs on the main thread only")
    experiment = _valid(plan)
    trial = Trial(ground, plan.name)
    journal: dict[str, Any] | None = None
    trouble = ""
    try:
        with trial:
            journal = _play(experiment)
            journal["steady_states"]["after_undo"] = _steady(experiment)
            _settle(trial)
    except (AbortedError, ApiError, EmbeddedClusterError, HeldError, MissedError, UndoError) as error:
        trouble = str(error)
    if journal is None:
        return Outcome(plan, trouble, "", None, trial.observed)
    if verdict.interrupted(journal, trial.aborted):
        raise KeyboardInterrupt
    reason = verdict.inconclusive(journal, landed=bool(trial.faults), aborted=trial.aborted) or trouble
    fault = trial.faults[-1] if trial.faults else None
    journal["kubeworthy"] = summary(trial)
    evidence = _write(plan, trial, journal, bundle, number) if bundle else ()
    return Outcome(plan, reason, verdict.deviation(journal), fault, trial.observed, evidence)


def run_all(name: str, ground: Ground, bundle: Path | None, repeats: int) -> tuple[Outcome, ...]:
    """Run an experiment `repeats` times, each a trial of its own, and stop after one that decides nothing."""
    return tuple(_repeated(load(name), ground, bundle, repeats))


def _repeated(plan: Plan, ground: Ground, bundle: Path | None, repeats: int) -> Iterator[Outcome]:
    for number in range(1, repeats + 1):
        outcome = run(plan, ground, bundle, number)
        yield outcome
        if outcome.inconclusive:
            return


def _valid(plan: Plan) -> dict[str, Any]:
    experiment = copy.deepcopy(plan.experiment)
    activities = [*experiment.get("method", []), *experiment.get("rollbacks", [])]
    for part in (experiment, *activities):
        if isinstance(part.get("dry"), str):
            try:
                part["dry"] = Dry.from_string(part["dry"])
            except ValueError:
                words = ", ".join(word.value for word in Dry)
                raise BridgeError(f"{plan.name}: dry is {part['dry']!r}; known are {words}") from None
    try:
        ensure_experiment_is_valid(experiment)
    except ChaosException as error:
        raise BridgeError(f"{plan.name} is no valid experiment: {error}") from error
    return experiment


def _play(experiment: dict[str, Any]) -> dict[str, Any]:
    journal: dict[str, Any] = run_experiment(experiment, settings=SETTINGS, strategy=Strategy.DEFAULT)
    return journal


def _steady(experiment: dict[str, Any]) -> dict[str, Any] | None:
    # Chaos Toolkit never looks at the steady state again after its rollbacks.
    state: dict[str, Any] | None = run_steady_state_hypothesis(experiment, {}, {}, None, EventHandlerRegistry())
    return state


def _settle(trial: Trial) -> None:
    """Stop watching and writing, then read what only the end can tell: lost events and lost writes."""
    observed = trial.observed
    trial.canary.halt()
    observed.lost_events = trial.canary.lost()
    trial.quiet()
    observed.watch_breaks, observed.watch_gaps = len(trial.canary.stream.breaks), trial.canary.stream.gaps
    if observed.ledgers:
        observed.balance = trial.read_ledgers()


def _write(plan: Plan, trial: Trial, journal: dict[str, Any], bundle: Path, number: int) -> tuple[str, ...]:
    stem = plan.name if number == 1 else f"{plan.name}-{number}"
    folder = bundle / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    path.write_text(json.dumps(journal, indent=1, default=str) + "\n")
    written = [path]
    drawn = timeline(plan, trial)
    if drawn is not None:
        path = folder / f"{stem}.timeline.json"
        drawn.write(path)
        written.append(path)
    return tuple(str(path.relative_to(bundle)) for path in written)
