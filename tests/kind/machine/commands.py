"""Running the programs that make the machine, each with a deadline."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fixtures.limits import KIND_MACHINE_STEP
from tests.kind.machine.errors import MachineError

_TAIL = 15


def run(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    deadline: float = KIND_MACHINE_STEP.value,
) -> str:
    """Run `command`, `text` on its standard input, and return its standard output.

    Raises `MachineError` with its last lines when it fails, or when `deadline` seconds have passed.
    """
    shown = " ".join(str(word) for word in command)
    try:
        result = subprocess.run(
            [str(word) for word in command],
            input=text,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=deadline,
        )
    except FileNotFoundError as error:
        raise MachineError(f"`{shown}` cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise MachineError(f"`{shown}` took longer than {deadline:g} s and was ended") from None
    if result.returncode:
        tail = "\n".join(f"    {line}" for line in (result.stdout + result.stderr).splitlines()[-_TAIL:])
        raise MachineError(f"`{shown}` failed with exit status {result.returncode}:\n{tail}")
    return result.stdout
