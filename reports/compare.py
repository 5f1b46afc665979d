"""Two bundles side by side: what fails now, what was put right, what changed, and what the numbers did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.errors import BundleError
from reports.record import Record, explain
from reports.view import View
from reports.words import BREAKS, WORST_FIRST, Verdict

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One property on one subject whose verdict changed; None where a bundle has no record of it."""

    property: str
    subject: str
    before: Verdict | None
    after: Verdict | None
    why: str = ""

    def __str__(self) -> str:
        words = f"{self.before or 'absent'} -> {self.after or 'absent'}"
        return f"{self.property}  {self.subject}  ({words}){': ' + self.why if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Moved:
    """One measured number in both bundles, in its unit."""

    property: str
    subject: str
    name: str
    unit: str
    before: float
    after: float

    def __str__(self) -> str:
        change = f"{(self.after - self.before) / self.before:+.0%}" if self.before else "from 0"
        return f"{self.property}  {self.subject}  {self.name}: {self.before:g} -> {self.after:g} {self.unit} ({change})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`failures` are new, `fixed` no longer fail, `lost` were decided and no longer are, `changed` is all the rest."""

    failures: tuple[Change, ...]
    fixed: tuple[Change, ...]
    lost: tuple[Change, ...]
    changed: tuple[Change, ...]
    moved: tuple[Moved, ...]


def compare(base: View, new: View, *, across: bool = False) -> Comparison:
    """Compare a named, accepted bundle with a new one.

    Raises BundleError if they are of different clusters, unless `across`: then properties and subjects are compared
    whatever cluster they are on.
    """
    if not across and _identities(base) != _identities(new):
        raise BundleError(
            f"the bundles are of different clusters: {_spelt(base)} and {_spelt(new)}; --across compares them all the same"
        )
    before, after = _worst_by_key(base, across), _worst_by_key(new, across)
    buckets: dict[str, list[Change]] = {"failures": [], "fixed": [], "lost": [], "changed": []}
    for key in sorted(before.keys() | after.keys()):
        old, now = before.get(key), after.get(key)
        change = Change(
            key[1], key[2], old.verdict if old else None, now.verdict if now else None, explain(now) if now else ""
        )
        if bucket := _bucket(change):
            buckets[bucket].append(change)
    moved = [each for key in sorted(before.keys() & after.keys()) for each in _moved(before[key], after[key])]
    return Comparison(**{name: tuple(changes) for name, changes in buckets.items()}, moved=tuple(moved))


def _bucket(change: Change) -> str:
    before, after = change.before, change.after
    if after in BREAKS and before not in BREAKS:
        return "failures"
    if before in BREAKS and after is not None and after not in BREAKS and after is not Verdict.NOT_ASSESSED:
        return "fixed"
    if before not in (None, Verdict.NOT_ASSESSED) and after in (None, Verdict.NOT_ASSESSED):
        return "lost"
    return "changed" if before != after else ""


def _worst_by_key(view: View, across: bool) -> dict[Key, Record]:
    records: dict[Key, Record] = {}
    for record in view.records:
        key = ("" if across else record.cluster, record.property, record.subject)
        held = records.get(key)
        if held is None or WORST_FIRST.index(record.verdict) < WORST_FIRST.index(held.verdict):
            records[key] = record
    return records


def _moved(before: Record, after: Record) -> list[Moved]:
    old = {(measure.name, measure.unit): measure.value for measure in before.measures}
    return [
        Moved(after.property, after.subject, measure.name, measure.unit, old[measure.name, measure.unit], measure.value)
        for measure in after.measures
        if old.get((measure.name, measure.unit), measure.value) != measure.value
    ]


def _identities(view: View) -> set[tuple[str, str]]:
    return {(cluster.id, cluster.fingerprint) for cluster in view.run.clusters}


def _spelt(view: View) -> str:
    return ", ".join(f"{name} [{mark[:12] or 'no fingerprint'}]" for name, mark in sorted(_identities(view)))


def as_text(comparison: Comparison, base: Path, new: Path) -> str:
    """The comparison for people, the new failures first."""
    headings = {
        "New failures": comparison.failures,
        "Fixed": comparison.fixed,
        "No longer decided": comparison.lost,
        "Other changes of verdict": comparison.changed,
        "Numbers that moved": comparison.moved,
    }
    lines = [f"{base} -> {new}"]
    for heading, items in headings.items():
        lines.append(f"\n{heading}: {len(items) or 'none'}")
        lines += [f"  {item}" for item in items]
    return "\n".join(lines)
