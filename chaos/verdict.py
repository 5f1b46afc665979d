"""What a Chaos Toolkit journal proves. Its own word for it, `completed` and not `deviated`, proves nothing: a kill that
raised ends so too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MET = "steady_state_met"


def inconclusive(journal: dict[str, Any], *, landed: bool, aborted: str) -> str:
    """Why a journal decides nothing, "" if it does: pass and fail both need all of what is asked for here.

    `landed` says whether the fault was proved, `aborted` why the guard stopped the method. The steady state after the
    undo stands in the journal as `steady_states.after_undo`.
    """
    return next(_reasons(journal, landed, aborted), "")


def deviation(journal: dict[str, Any]) -> str:
    """How the steady state after the fault deviated, "" if it was met."""
    after = journal["steady_states"]["after"]
    if journal["deviated"] or not (after and after[MET]):
        return _unmet(after)
    return ""


def _reasons(journal: dict[str, Any], landed: bool, aborted: str) -> Iterator[str]:
    states = journal["steady_states"]
    before = states["before"]
    if not (before and before[MET]):
        yield f"the steady state was not met before the fault, so nothing was done: {_unmet(before)}"
    for run in journal["run"] or ():
        if run.get("status") != "succeeded":
            yield f"{run['activity']['name']!r} failed: {_said(run)}"
    if aborted:
        yield f"aborted: {aborted}"
    if journal["status"] in ("interrupted", "aborted"):
        yield f"Chaos Toolkit ended the experiment as {journal['status']}"
    method, rollbacks = journal["experiment"]["method"], journal["experiment"].get("rollbacks", [])
    if len(journal["run"] or ()) != len(method):
        yield f"{len(journal['run'] or ())} of {len(method)} activities were run"
    if not landed:
        yield "the fault was not proved to have landed"
    if states["after"] is None:
        yield "the steady state was not looked at after the fault"
    for run in journal["rollbacks"] or ():
        if run.get("status") != "succeeded":
            yield f"the undo {run['activity']['name']!r} failed: {_said(run)}"
    if len(journal["rollbacks"] or ()) != len(rollbacks):
        yield f"{len(journal['rollbacks'] or ())} of {len(rollbacks)} undo activities were run"
    undone = states.get("after_undo")
    if not (undone and undone[MET]):
        yield f"the steady state was not met after the undo: {_unmet(undone)}"


def interrupted(journal: dict[str, Any], aborted: str) -> bool:
    """Whether a person ended the run: Chaos Toolkit swallows Ctrl-C, and turns SIGTERM inside an activity into a failed
    activity.
    """
    if journal["status"] == "interrupted" and not aborted:
        return True
    states = [state for state in journal["steady_states"].values() if isinstance(state, dict)]
    runs = [*journal["run"], *journal["rollbacks"], *(probe for state in states for probe in state["probes"])]
    return any("SIGTERM signal received" in line for run in runs for line in run.get("exception") or ())


def _unmet(state: dict[str, Any] | None) -> str:
    if not state or not state["probes"]:
        return "it was not looked at"
    last = state["probes"][-1]
    if last.get("status") != "succeeded":
        return f"{last['activity']['name']!r} failed: {_said(last)}"
    return f"{last['activity']['name']!r} gave {last['output']!r}"


def _said(run: dict[str, Any]) -> str:
    lines = [line.strip() for line in run.get("exception") or ()]
    # The traceback's last line is Chaos Toolkit's own exception with the real one in its text.
    return lines[-1].rpartition("ActivityFailed: ")[2] if lines else "it was not finished"
