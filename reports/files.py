"""Reading and writing the files of a bundle, so that each is whole or absent."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reports.errors import BundleError


@contextmanager
def clear_errors(doing: str) -> Iterator[None]:
    """Turn an OSError into a BundleError that says what was being done, what went wrong and what helps."""
    try:
        yield
    except OSError as error:
        cures = {
            errno.ENOSPC: "free some space and run again",
            errno.EDQUOT: "free some of your quota and run again",
            errno.EACCES: "choose a folder that you may write to (--bundle DIR)",
            errno.EPERM: "choose a folder that you may write to (--bundle DIR)",
            errno.EROFS: "choose a folder on a writable file system (--bundle DIR)",
            errno.ENOTDIR: "choose a folder whose parents are folders (--bundle DIR)",
            errno.ENOENT: "check the path",
        }
        cure = cures.get(error.errno or 0)
        where = f" ({error.filename})" if error.filename else ""
        raise BundleError(f"{doing}: {error.strerror or error}{where}{f'; {cure}' if cure else ''}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; what stood there before stays until the new content is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def as_text(value: Mapping[str, Any]) -> bytes:
    """JSON for people: sorted, indented, the same bytes for the same value."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object. Raises BundleError if it is absent or holds something else."""
    with clear_errors(f"cannot read {path.name}"):
        content = path.read_bytes()
    try:
        value = json.loads(content)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise BundleError(f"{path} holds no JSON object")
    return value


def walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every entry below a folder that is not a folder, sorted, with its path in the folder spelt with slashes."""
    found = []
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [Path(root) / name for name in (*names, *links)]
    yield from sorted((path.relative_to(folder).as_posix(), path) for path in found)
