"""Verification of a bundle: needs neither the cluster nor a network, and names whatever does not fit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as SigningError

from reports.bundle import RECORDS, predicate
from reports.errors import BundleError
from reports.files import as_text, clear_errors, read_json, walk
from reports.gate import Decision, decide
from reports.keys import SSlibKey
from reports.seal import ENVELOPE, MANIFEST, PAYLOAD_TYPE, PREDICATE_TYPE, SCHEMA, STATEMENT_TYPE, digest, role
from reports.view import View, read_facts, read_records

DOES_NOT_PROVE = (
    "that the cluster was in this state before or after the run",
    "that the checks judge rightly: the suite's own tests show that, for the version named in run.json",
    "when the run was: its clock is the machine's own; have the manifest's digest time-stamped outside to prove a time",
    "who ran it: only that whoever held the signing key sealed exactly these bytes",
    "that there was no other run: keep the digests of all of them outside, or chain them (previous)",
)


@dataclass(slots=True)
class Examination:
    """What verifying a bundle found. `problems` is empty only if every byte is as it was signed and says what it claims."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    signed_by: str = ""
    manifest: str = ""
    recorded: str = ""
    decision: Decision | None = None
    ended: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was found to be wrong."""
        return not self.problems


def examine(folder: Path, key: SSlibKey | None) -> Examination:
    """Verify a bundle with the public key of its signer; without a key, that alone is a problem.

    Raises BundleError if the folder is no bundle at all.
    """
    found = Examination(folder)
    if not any((folder / name).is_file() for name in (MANIFEST, "verdict.json", RECORDS)):
        read_facts(folder)
    statement = _statement(found, key)
    manifest = _manifest(found)
    if manifest is not None:
        _files(found, manifest)
    if statement is not None and manifest is not None:
        _same_files(found, statement, manifest)
    _contents(found, statement)
    return found


def standing(folder: Path, at: datetime) -> Decision:
    """The verdict that a bundle's records give at a moment (with a time zone): what expired before it is stale."""
    run, properties = read_facts(folder)
    records = read_records(folder / RECORDS)
    return decide(properties, records, complete=run.complete and bool(run.ended), at=at, clusters=run.cluster_ids)


def _statement(found: Examination, key: SSlibKey | None) -> dict[str, Any] | None:
    """The signed statement, if a signature of the key's holder is on it."""
    path = found.folder / ENVELOPE
    if not path.is_file():
        found.problems.append(f"{ENVELOPE} is missing: the bundle is not signed")
        return None
    try:
        envelope = Envelope.from_dict(read_json(path))
        statement = json.loads(envelope.payload)
        kinds = envelope.payload_type, statement["_type"], statement["predicateType"]
        signers = sorted(envelope.signatures)
    except (BundleError, SigningError, KeyError, TypeError, ValueError) as error:
        found.problems.append(f"{ENVELOPE} cannot be read: {error!r}")
        return None
    if kinds != (PAYLOAD_TYPE, STATEMENT_TYPE, PREDICATE_TYPE):
        found.problems.append(f"{ENVELOPE} is of another type: {', '.join(map(str, kinds))}")
        return None
    if key is None:
        signer = ", ".join(signers) or "nobody"
        found.problems.append(
            f"the signature was not checked: hand over the signer's public key (--key); signed by {signer}"
        )
        return None
    try:
        envelope.verify([key], 1)
    except (SigningError, ValueError):
        other = (
            "" if key.keyid in signers else f" (it names the key {', '.join(signers) or 'none'}, you gave {key.keyid})"
        )
        found.problems.append(f"{ENVELOPE}: the signature does not fit{other}")
        return None
    found.signed_by = key.keyid
    return dict(statement)


def _manifest(found: Examination) -> dict[str, dict[str, Any]] | None:
    path = found.folder / MANIFEST
    if not path.is_file():
        found.problems.append(f"{MANIFEST} is missing: the bundle is not sealed (was the run interrupted?)")
        return None
    found.manifest = digest(path)
    try:
        plain = read_json(path)
        entries = {entry["path"]: entry for entry in plain["files"]}
        schema, paths = plain["schema"], [entry["path"] for entry in plain["files"]]
        sizes = [int(entry["size"]) + len(entry["sha256"]) for entry in plain["files"]]
    except (BundleError, KeyError, TypeError, ValueError) as error:
        found.problems.append(f"{MANIFEST} cannot be read: {error!r}")
        return None
    if schema != SCHEMA or len(sizes) != len(entries):
        found.problems.append(f"{MANIFEST} is not of the form {SCHEMA}, or names a file twice")
        return None
    if paths != sorted(paths):
        found.problems.append(f"{MANIFEST}: its files stand in another order")
    for name, entry in entries.items():
        if entry.get("role") != role(name):
            found.problems.append(f"{MANIFEST}: {name} is listed as {entry.get('role')}, but is {role(name)}")
    return entries


def _files(found: Examination, manifest: dict[str, dict[str, Any]]) -> None:
    """Every file against the manifest: changed, dropped, added."""
    present = {path: file for path, file in walk(found.folder) if path not in (MANIFEST, ENVELOPE)}
    for name in sorted(manifest.keys() - present.keys()):
        found.problems.append(f"{name} is missing: it was dropped after sealing")
    for name in sorted(present.keys() - manifest.keys()):
        found.problems.append(f"{name} was added after sealing")
    for name in sorted(present.keys() & manifest.keys()):
        file, entry = present[name], manifest[name]
        if file.is_symlink() or not file.is_file():
            found.problems.append(f"{name} was replaced by something that is not a plain file")
        elif digest(file) != entry["sha256"]:
            found.problems.append(f"{name} was changed after sealing: {_how(file.stat().st_size, entry['size'])}")
        elif file.stat().st_size != entry["size"]:
            found.problems.append(f"{MANIFEST}: the size of {name} is not {entry['size']}")


def _how(size: int, sealed: int) -> str:
    if size < sealed:
        return f"{sealed - size} bytes are missing (truncated, or lines were taken out)"
    if size > sealed:
        return f"it is {size - sealed} bytes longer (something was added)"
    return "its size is the same, so bytes were replaced or lines put in another order"


def _same_files(found: Examination, statement: dict[str, Any], manifest: dict[str, dict[str, Any]]) -> None:
    """The manifest against what was signed."""
    signed = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    if signed.pop(MANIFEST, None) != found.manifest:
        found.problems.append(f"{MANIFEST} was changed after it was signed")
    for name in sorted(signed.keys() | manifest.keys()):
        listed = manifest.get(name, {}).get("sha256")
        if signed.get(name) != listed:
            found.problems.append(f"{name}: its digest in {MANIFEST} is not the one that was signed")


def _contents(found: Examination, statement: dict[str, Any] | None) -> None:
    """Whether the verdict follows from the records, and whether all files speak of the same clusters."""
    try:
        view = View.load(found.folder)
        recorded = read_json(found.folder / "verdict.json")
    except BundleError as error:
        found.problems.append(str(error))
        return
    found.decision, found.recorded, found.ended = view.decision, str(recorded.get("verdict")), view.run.ended
    with clear_errors("cannot read verdict.json"):
        same = (found.folder / "verdict.json").read_bytes() == as_text(view.decision.as_json())
    if not same:
        found.problems.append(
            f"verdict.json does not follow from the records: it says {found.recorded}, they give {view.decision.verdict}"
        )
    for name in sorted({record.cluster for record in view.records} - set(view.run.cluster_ids)):
        found.problems.append(f"{RECORDS} speaks of the cluster {name}, run.json of {', '.join(view.run.cluster_ids)}")
    for name in sorted({path for record in view.records for path in record.evidence}):
        if not (found.folder / name).is_file():
            found.problems.append(f"a record names {name} as its evidence, which is missing")
    if statement is not None:
        told = {key: value for key, value in statement["predicate"].items() if key != "previous"}
        if told != predicate(view.run, view.decision):
            found.problems.append("what was signed about cluster, time and verdict is not what the files say")
    if not view.run.complete:
        found.notes.append("the run did not come to its end")
