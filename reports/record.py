"""The record: one canonical JSON line for each check and subject. It is the truth; every report is a view of it."""

from __future__ import annotations

import builtins
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.words import Severity, Verdict

NAMESPACE = uuid.UUID("6f1d3a52-6f0b-5d0e-9a56-3f6b6e1c8a11")
"""The UUIDv5 namespace of record ids, so that the same cluster, property and subject give the same id in every run."""


def uuid5(name: str) -> str:
    """The UUIDv5 of a name in NAMESPACE: what `uuid.uuid5` gives, without its objects, at a fifth of the time."""
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # the version and the variant of RFC 9562
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason for a verdict: what was looked at, what was expected, what was seen, how to look and how to fix it."""

    at: str
    expected: str
    observed: str
    look: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured number with its unit, and the bound or target that it was held against where there is one."""

    name: str
    value: float
    unit: str
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What one check decided about one subject.

    `collected` and `expires` are UTC seconds in RFC 3339; `examined` counts the things that were looked at, so that a
    pass over nothing can be told apart; `evidence` holds paths of files inside the bundle.
    """

    cluster: str
    property: str
    subject: str
    verdict: Verdict
    severity: Severity
    collected: str
    expires: str
    namespace: str = ""
    reason: str = ""
    examined: int = 0
    findings: tuple[Finding, ...] = ()
    measures: tuple[Measure, ...] = ()
    evidence: tuple[str, ...] = ()
    waiver: dict[str, str] = field(default_factory=dict)
    attestation: dict[str, str] = field(default_factory=dict)

    @builtins.property
    def id(self) -> str:
        """The record's UUIDv5, made from cluster, property and subject."""
        return uuid5(f"{self.cluster}\n{self.property}\n{self.subject}")

    @builtins.property
    def area(self) -> str:
        """The part of the property's id before the dot."""
        return self.property.partition(".")[0]

    def as_json(self) -> dict[str, Any]:
        """The record as plain JSON values; empty fields are left out."""
        plain: dict[str, Any] = {
            "id": self.id,
            "cluster": self.cluster,
            "property": self.property,
            "subject": self.subject,
            "verdict": str(self.verdict),
            "severity": str(self.severity),
            "collected": self.collected,
            "expires": self.expires,
        }
        if self.namespace:
            plain["namespace"] = self.namespace
        if self.reason:
            plain["reason"] = self.reason
        if self.examined:
            plain["examined"] = self.examined
        if self.findings:
            plain["findings"] = [_without_empty(finding) for finding in self.findings]
        if self.measures:
            plain["measures"] = [_without_empty(measure) for measure in self.measures]
        if self.evidence:
            plain["evidence"] = list(self.evidence)
        if self.waiver:
            plain["waiver"] = self.waiver
        if self.attestation:
            plain["attestation"] = self.attestation
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Record:
        """Read a record back. Raises KeyError or ValueError for a line that is no record."""
        known = {
            **plain,
            "verdict": Verdict(plain["verdict"]),
            "severity": Severity(plain["severity"]),
            "findings": tuple(Finding(**finding) for finding in plain.get("findings", ())),
            "measures": tuple(Measure(**measure) for measure in plain.get("measures", ())),
            "evidence": tuple(plain.get("evidence", ())),
        }
        claimed = known.pop("id")
        record = cls(**known)
        if record.id != claimed:
            raise ValueError(f"the record's id {claimed} is not the id of {record.property} on {record.subject}")
        return record


def _without_empty(value: Finding | Measure) -> dict[str, Any]:
    """Only what has a default may be left out: a measure without a unit has to come back as one."""
    optional = {one.name for one in fields(value) if one.default is not MISSING}
    plain = {one.name: getattr(value, one.name) for one in fields(value)}
    return {name: item for name, item in plain.items() if name not in optional or item not in ("", None)}


def explain(record: Record) -> str:
    """Why a record has its verdict, in one line."""
    if record.reason:
        return record.reason.splitlines()[0]
    if record.findings:
        first = record.findings[0]
        more = f" (and {len(record.findings) - 1} more)" if len(record.findings) > 1 else ""
        return f"{first.at}: expected {first.expected}, observed {first.observed}{more}"
    return record.waiver.get("reason", "") or record.attestation.get("statement", "")


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of a value made of strings, integers, booleans, null and numbers of everyday size.

    Whole floats become integers and the rest keep Python's shortest form, which is JavaScript's between 1e-4 and 1e16.
    A smaller or larger float, an integer beyond 2**53, NaN, infinity, a key that is no string and a lone surrogate
    raise ValueError. Far faster than a pure-Python serialiser.
    """
    return _ENCODER.encode(_plain(value)).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        try:
            names = sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_utf16)
        except (AttributeError, TypeError) as error:
            raise ValueError("a key that is not a string has no canonical form") from error
        return {name: part if type(part := value[name]) is str else _plain(part) for name in names}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e16:
            return _plain(int(value))
        if not 1e-4 <= abs(value) < 1e16:
            raise ValueError(f"{value!r} has no canonical form here; round it to a unit of everyday size")
    elif isinstance(value, int) and abs(value) >= 2**53:
        raise ValueError(f"{value!r} is too large for a number in canonical JSON; write it as a string")
    return value


def _utf16(name: str) -> bytes:
    # RFC 8785 sorts by UTF-16 code units, which is not Python's order beyond the basic plane
    return name.encode("utf-16-be")


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """Append records to a file, a canonical line each."""
    with path.open("ab") as file:
        for record in records:
            file.write(canonical(record.as_json()) + b"\n")


def read_lines(path: Path) -> Iterator[Record]:
    """Read the records of a file. Raises ValueError naming the line that is not a record."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Record.from_json(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a record ({error})") from error


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the second. Raises ValueError for a moment without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment in a record needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
