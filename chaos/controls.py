"""The guard, as a Chaos Toolkit control: it clears every activity of the method before it runs, or interrupts the
experiment.

Chaos Toolkit swallows whatever a control raises but InterruptExecution, and goes on with the act. So every other error
becomes that one here; and since a control that cannot be loaded is left out in silence, an act needs the guard's
clearance (`Trial.strike`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoslib.exceptions import InterruptExecution

from chaos.trial import AbortedError, Trial, current


def before_method_control(context: dict[str, Any]) -> None:
    """The method begins: from here on activities need clearance."""
    _guarded(_begin_method)


def after_method_control(context: dict[str, Any], state: Any = None) -> None:
    """The method has ended: what follows is the undo, which nothing may stop."""
    _guarded(_end_method)


def before_activity_control(context: dict[str, Any]) -> None:
    """Clear an activity of the method, or raise InterruptExecution where the trial must not go on."""
    _guarded(lambda trial: _clear(trial, context))


def after_activity_control(context: dict[str, Any], state: Any = None) -> None:
    """Take the clearance back, and remember a failed activity, after which the next is not cleared."""
    _guarded(lambda trial: _note(trial, context, state))


def _begin_method(trial: Trial) -> None:
    trial.method_runs = True


def _end_method(trial: Trial) -> None:
    trial.method_runs = trial.cleared = False


def _clear(trial: Trial, activity: dict[str, Any]) -> None:
    if not trial.method_runs:
        return
    reason = trial.why_stop()
    if reason:
        raise InterruptExecution(f"before {activity['name']!r}: {reason}")
    trial.cleared = True


def _note(trial: Trial, activity: dict[str, Any], run: Any) -> None:
    trial.cleared = False
    if trial.method_runs and isinstance(run, dict) and run.get("status") != "succeeded":
        trial.failed = f"{activity['name']!r} failed"


def _guarded(act: Callable[[Trial], None]) -> None:
    try:
        trial = current()
    except AbortedError as error:
        raise InterruptExecution(str(error)) from error
    try:
        act(trial)
    except InterruptExecution as interrupt:
        trial.aborted = str(interrupt)
        raise
    except Exception as error:  # Chaos Toolkit would swallow it and go on with the act
        trial.aborted = f"the guard failed: {error!r}"
        raise InterruptExecution(trial.aborted) from error
