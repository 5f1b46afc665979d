"""The seal of a bundle: a manifest with the digest of every file, and a signed in-toto statement over all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope

from reports.errors import BundleError
from reports.files import as_text, clear_errors, walk, write_atomically
from reports.keys import CryptoSigner, as_pem
from reports.record import canonical

SCHEMA = "kubeworthy/manifest/v1"
MANIFEST = "manifest.json"
ENVELOPE = "manifest.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "kubeworthy/evidence/v1"

EVIDENCE, VIEW, TOOL_MADE = "evidence", "view", "tool-made"
"""The roles of files: evidence; a view, which `render` makes again byte for byte; a view of another tool's making."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What to keep outside of the bundle: the manifest's SHA-256 in hex, and the key that signed it."""

    manifest: str
    keyid: str
    public_pem: str


def role(path: str) -> str:
    """What a file of a bundle is: EVIDENCE, VIEW or TOOL_MADE."""
    if path.startswith("report/allure/"):
        return TOOL_MADE
    if path in ("junit.xml", "report.md", "report/index.html") or path.startswith("allure-results/"):
        return VIEW
    return EVIDENCE


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inventory(folder: Path) -> list[dict[str, Any]]:
    """Path, role, SHA-256 and size of every file but the seal's own, sorted by path.

    Raises BundleError for what is not a plain file: a link could show an auditor something that was not sealed.
    """
    entries = []
    for path, file in walk(folder):
        if path in (MANIFEST, ENVELOPE):
            continue
        if file.is_symlink() or not file.is_file():
            raise BundleError(f"{path} in the bundle is not a plain file, so it cannot be sealed; take it away")
        entries.append({"path": path, "role": role(path), "sha256": digest(file), "size": file.stat().st_size})
    return entries


def manifest_bytes(entries: list[dict[str, Any]], previous: str = "") -> bytes:
    """The manifest: JSON with one file on each line, so that sed and sha256sum can read it, too."""
    lines = ",\n".join("  " + json.dumps(entry, sort_keys=True, ensure_ascii=False) for entry in entries)
    return f'{{"schema": "{SCHEMA}", "previous": "{previous}", "files": [\n{lines}\n]}}\n'.encode()


def statement(entries: list[dict[str, Any]], manifest: bytes, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """The in-toto Statement over the manifest and every file in it."""
    subjects = [{"name": MANIFEST, "digest": {"sha256": hashlib.sha256(manifest).hexdigest()}}]
    subjects += [{"name": entry["path"], "digest": {"sha256": entry["sha256"]}} for entry in entries]
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": dict(predicate),
    }


def seal(folder: Path, key: CryptoSigner, predicate: Mapping[str, Any], previous: Path | None = None) -> Seal:
    """Write manifest.json and manifest.dsse.json.

    `predicate` says what the files are evidence of; `previous` is an earlier bundle, whose manifest's digest is recorded so
    that the two stand in a chain. Raises BundleError where a file cannot be read or written or `previous` is unsealed.
    """
    with clear_errors("cannot seal the bundle"):
        chained = _manifest_digest(previous) if previous else ""
        entries = inventory(folder)
        manifest = manifest_bytes(entries, chained)
        signed = statement(entries, manifest, {**predicate, "previous": chained})
        envelope = Envelope(canonical(signed), PAYLOAD_TYPE, {})
        envelope.sign(key)
        write_atomically(folder / MANIFEST, manifest)
        write_atomically(folder / ENVELOPE, as_text(envelope.to_dict()))
    return Seal(hashlib.sha256(manifest).hexdigest(), key.public_key.keyid, as_pem(key.public_key))


def _manifest_digest(bundle: Path) -> str:
    manifest = bundle / MANIFEST
    if not manifest.is_file():
        raise BundleError(f"{bundle} is no sealed bundle (it has no {MANIFEST}), so nothing can be chained to it")
    return digest(manifest)
