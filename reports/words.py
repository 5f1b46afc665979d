"""The words that every other module uses, each defined once (docs/architecture.md, "Words")."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """The outcome of one check on one subject."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    NOT_APPLICABLE = "not-applicable"
    NOT_ASSESSED = "not-assessed"
    WAIVED = "waived"
    ATTESTED = "attested"
    STALE = "stale"


class RunVerdict(StrEnum):
    """The outcome of a whole run."""

    READY = "READY"
    NOT_READY = "NOT READY"
    INCOMPLETE = "INCOMPLETE"


class Severity(StrEnum):
    """How much a failing property matters, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ExitCode(IntEnum):
    """Exit codes of a run; 2 to 5 are pytest's own (interrupted, internal error, usage error, nothing collected)."""

    READY = 0
    NOT_READY = 1
    INCOMPLETE = 6


WORST_FIRST = (
    Verdict.ERROR,
    Verdict.FAIL,
    Verdict.STALE,
    Verdict.NOT_ASSESSED,
    Verdict.WAIVED,
    Verdict.ATTESTED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)
"""The order in which verdicts of several subjects are folded into one: the first that occurs decides."""

HOLDS = frozenset({Verdict.PASS, Verdict.ATTESTED, Verdict.WAIVED, Verdict.NOT_APPLICABLE})
"""The verdicts under which a required property lets a run be READY."""

BREAKS = frozenset({Verdict.FAIL, Verdict.ERROR, Verdict.STALE})
"""The verdicts under which a required property makes a run NOT READY."""


def worst(verdicts: list[Verdict] | tuple[Verdict, ...]) -> Verdict:
    """Fold the verdicts of several subjects into one; of none at all it is `error`, since nothing was proved."""
    present = set(verdicts)
    return next((verdict for verdict in WORST_FIRST if verdict in present), Verdict.ERROR)


EXIT_CODES = {
    RunVerdict.READY: ExitCode.READY,
    RunVerdict.NOT_READY: ExitCode.NOT_READY,
    RunVerdict.INCOMPLETE: ExitCode.INCOMPLETE,
}
