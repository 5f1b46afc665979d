"""The gate: from the records of a run to its one verdict. Every way in which nothing was proved leads away from READY."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reports.dates import expired, last_moment
from reports.properties import PropertyInfo
from reports.record import Record, explain, rfc3339
from reports.words import EXIT_CODES, HOLDS, ExitCode, RunVerdict, Severity, Verdict, worst

SCHEMA = "kubeworthy/verdict/v1"
NOTHING_EXECUTED = "nothing was executed"
EXAMPLE_LENGTH = 240
"""Characters of an example's reason that a sentence of the verdict quotes; the record has all of it."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, as counts; its percentage is rounded down, so that 100 % means all."""

    part: int
    whole: int

    @property
    def percent(self) -> int:
        """Whole percent, rounded down; nothing out of nothing is 0."""
        return self.part * 100 // self.whole if self.whole else 0

    def as_json(self) -> dict[str, int]:
        """The share as plain JSON values."""
        return {"part": self.part, "whole": self.whole, "percent": self.percent}


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict of a run, why, and the two figures: readiness and coverage, which are never made into one.

    `readiness` is the share of the decided required properties that hold; `coverage` the share of all known properties
    that were decided; `required_coverage` the same for the required ones. `records` and `properties` count by severity
    and verdict; `required` gives for each severity how many properties are required, decided and hold. `outcomes` is
    the verdict of each property, `causes` why it is not simply its records' word.
    """

    verdict: RunVerdict
    reasons: tuple[str, ...]
    complete: bool
    at: str
    readiness: Share
    coverage: Share
    required_coverage: Share
    outcomes: dict[str, Verdict]
    causes: dict[str, str]
    records: dict[Severity, dict[Verdict, int]]
    properties: dict[Severity, dict[Verdict, int]]
    required: dict[Severity, dict[str, int]]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the run; 0 only for READY."""
        return EXIT_CODES[self.verdict]

    def count(self, verdict: Verdict) -> int:
        """How many records have this verdict."""
        return sum(row[verdict] for row in self.records.values())

    def as_json(self) -> dict[str, Any]:
        """The content of verdict.json."""
        return {
            "schema": SCHEMA,
            "verdict": str(self.verdict),
            "reasons": list(self.reasons),
            "complete": self.complete,
            "at": self.at,
            "readiness": self.readiness.as_json(),
            "coverage": self.coverage.as_json(),
            "required_coverage": self.required_coverage.as_json(),
            "counts": {"records": _totals(self.records), "properties": _totals(self.properties)},
            "by_severity": {"records": _plain(self.records), "properties": _plain(self.properties)},
            "required_by_severity": _plain(self.required),
            "outcomes": {name: str(self.outcomes[name]) for name in sorted(self.outcomes)},
        }


def effective(record: Record, at: datetime | None = None) -> tuple[Verdict, str]:
    """The verdict that a record stands for at a moment (None: when it was written), and why where it is another one.

    A verdict that holds becomes `stale` once it expired or if its dates cannot be read; a waiver that expired gives
    back the failure that it covered; a pass over nothing is an `error`.
    """
    if record.verdict not in HOLDS:
        return record.verdict, ""
    if record.verdict is Verdict.PASS and not record.examined:
        return Verdict.ERROR, "it passed without having examined anything"
    try:
        moment = at or last_moment(record.collected)
        if expired(record.expires, moment):
            return Verdict.STALE, f"the evidence expired ({record.expires})"
        if (until := record.waiver.get("expires")) and expired(until, moment):
            return Verdict.FAIL, f"the waiver expired ({until})"
        if (until := record.attestation.get("expires")) and expired(until, moment):
            return Verdict.STALE, f"the attestation expired ({until})"
    except ValueError as error:
        return Verdict.STALE, f"its dates cannot be read: {error}"
    return record.verdict, ""


def decide(
    properties: Mapping[str, PropertyInfo],
    records: Iterable[Record],
    *,
    complete: bool,
    at: datetime | None = None,
    clusters: Collection[str] = (),
) -> Decision:
    """Decide a run from its catalogue and its records.

    `at` recomputes the verdict for a moment (with a time zone): what expired before it is stale. `clusters` names the
    clusters that were to be looked at: a property without a record on one of them was not assessed there. The order of
    the records does not matter.
    """
    tally = _Tally(properties, clusters)
    for record in records:
        tally.add(record, at)
    outcomes = tally.outcomes()
    required = {name for name, info in properties.items() if info.required}
    decided = {name for name in outcomes if outcomes[name] is not Verdict.NOT_ASSESSED}
    holding = {name for name in required if outcomes[name] in HOLDS}
    verdict, reasons = _judge(tally, outcomes, complete)
    return Decision(
        verdict=verdict,
        reasons=tuple(reasons),
        complete=complete,
        at=rfc3339(at) if at else "",
        readiness=Share(len(holding), len(required & decided)),
        coverage=Share(len(decided), len(properties)),
        required_coverage=Share(len(required & decided), len(required)),
        outcomes=outcomes,
        causes={name: tally.cause(name, outcomes[name]) for name in outcomes},
        records=_table(tally.counts),
        properties=_table(Counter((properties[name].severity, outcomes[name]) for name in outcomes)),
        required={
            severity: {
                "required": len(ours := {name for name in required if properties[name].severity is severity}),
                "decided": len(ours & decided),
                "holds": len(ours & holding),
            }
            for severity in Severity
        },
    )


class _Tally:
    """The records, counted by property and verdict, with one subject kept as an example of each."""

    def __init__(self, properties: Mapping[str, PropertyInfo], clusters: Collection[str]) -> None:
        self.properties = properties
        self.clusters = set(clusters)
        self.counts: Counter[tuple[Severity, Verdict]] = Counter()
        self.subjects: dict[str, Counter[Verdict]] = {}
        self.examples: dict[tuple[str, Verdict], tuple[str, str]] = {}
        self.seen: dict[str, set[str]] = {}

    def add(self, record: Record, at: datetime | None) -> None:
        verdict, why = effective(record, at)
        self.counts[record.severity, verdict] += 1
        self.subjects.setdefault(record.property, Counter())[verdict] += 1
        self.seen.setdefault(record.property, set()).add(record.cluster)
        example = (record.subject, _shortened(why or explain(record)))
        key = (record.property, verdict)
        # the least one, so that the words do not depend on the order of the records
        self.examples[key] = min(self.examples.get(key, example), example)

    def outcomes(self) -> dict[str, Verdict]:
        return {name: self.outcome(name) for name in self.properties}

    def outcome(self, name: str) -> Verdict:
        present = list(self.subjects.get(name, ()))
        if not present or self.clusters - self.seen[name]:
            present.append(Verdict.NOT_ASSESSED)
        return worst(present)

    def unknown(self) -> list[str]:
        return sorted(self.subjects.keys() - self.properties.keys())

    def foreign(self) -> list[str]:
        return sorted(set().union(*self.seen.values()) - self.clusters) if self.clusters and self.seen else []

    def erring(self) -> list[str]:
        return [name for name in self.subjects if self.subjects[name][Verdict.ERROR]]

    def cause(self, name: str, verdict: Verdict) -> str:
        """How many subjects have the verdict, with one of them and its reason."""
        count = self.subjects.get(name, Counter())[verdict]
        if not count:
            absent = sorted(self.clusters - self.seen.get(name, set()))
            where = f" on {', '.join(absent)}" if absent and name in self.seen else ""
            return "it was not selected" if not self.properties[name].selected else NOTHING_EXECUTED + where
        subject, why = self.examples[name, verdict]
        more = f" and {count - 1} more" if count > 1 else ""
        return f"{subject}{more}{': ' + why.rstrip('.') if why else ''}"


def _judge(tally: _Tally, outcomes: dict[str, Verdict], complete: bool) -> tuple[RunVerdict, list[str]]:
    required = sorted((name for name, info in tally.properties.items() if info.required), key=_by_severity(tally))
    breaking = _breaking(tally, required)
    if breaking:
        return RunVerdict.NOT_READY, breaking
    gaps = _gaps(tally, required, outcomes, complete)
    if gaps:
        return RunVerdict.INCOMPLETE, gaps
    return RunVerdict.READY, [_all_hold(required, outcomes)]


def _breaking(tally: _Tally, required: list[str]) -> list[str]:
    reasons = []
    for wanted, words in ((Verdict.FAIL, "fails"), (Verdict.STALE, "has stale evidence")):
        for name in required:
            if tally.subjects.get(name, Counter())[wanted]:
                severity = tally.properties[name].severity
                reasons.append(f"{name} ({severity}, required) {words}: {tally.cause(name, wanted)}.")
    erring = sorted(tally.erring(), key=_by_severity(tally))
    reasons += [f"{name} could not be decided (error): {tally.cause(name, Verdict.ERROR)}." for name in erring]
    reasons += [
        f"Records name the property {name}, which the catalogue of the run does not know." for name in tally.unknown()
    ]
    reasons += [f"Records name the cluster {name}, which the run did not look at." for name in tally.foreign()]
    return reasons


def _gaps(tally: _Tally, required: list[str], outcomes: dict[str, Verdict], complete: bool) -> list[str]:
    reasons = []
    if not complete:
        reasons.append("The run did not come to its end.")
    if not required:
        reasons.append("No property is required, so nothing was to be proved.")
    for name in required:
        if outcomes[name] not in HOLDS:
            severity = tally.properties[name].severity
            reasons.append(
                f"{name} ({severity}, required) was not assessed: {tally.cause(name, Verdict.NOT_ASSESSED)}."
            )
    return reasons


def _all_hold(required: list[str], outcomes: dict[str, Verdict]) -> str:
    counts = Counter(outcomes[name] for name in required)
    words = {
        Verdict.WAIVED: "by a waiver",
        Verdict.ATTESTED: "by an attestation",
        Verdict.NOT_APPLICABLE: "as not applicable",
    }
    parts = [f"{counts[verdict]} {how}" for verdict, how in words.items() if counts[verdict]]
    subject = (
        "The one required property holds" if len(required) == 1 else f"All {len(required)} required properties hold"
    )
    return subject + (f" ({', '.join(parts)})" if parts else "") + "."


def _shortened(text: str) -> str:
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1].rstrip() + "…"


def _by_severity(tally: _Tally) -> Any:
    rank = list(Severity)
    return lambda name: (rank.index(tally.properties[name].severity) if name in tally.properties else -1, name)


def _table(counts: Mapping[tuple[Severity, Verdict], int]) -> dict[Severity, dict[Verdict, int]]:
    return {severity: {verdict: counts.get((severity, verdict), 0) for verdict in Verdict} for severity in Severity}


def _totals(table: Mapping[Severity, Mapping[Verdict, int]]) -> dict[str, int]:
    return {str(verdict): sum(row[verdict] for row in table.values()) for verdict in Verdict}


def _plain(table: Mapping[Severity, Mapping[Any, int]]) -> dict[str, dict[str, int]]:
    return {str(severity): {str(name): count for name, count in row.items()} for severity, row in table.items()}
