"""The experiments that ship with the suite, in Chaos Toolkit's own format, and what a person is told about them
beforehand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("experiments")


class UnknownExperimentError(ValueError):
    """There is no experiment of this name; the message names those that there are."""


@dataclass(frozen=True)
class Plan:
    """One experiment. `facts` is its extension `kubeworthy`: properties, component, fault, blast-radius, abort and
    undo.
    """

    name: str
    experiment: dict[str, Any]

    @property
    def title(self) -> str:
        """What it shows, in a sentence."""
        return str(self.experiment["title"])

    @property
    def facts(self) -> dict[str, Any]:
        """What stands in the file for people and reports."""
        return next(extension for extension in self.experiment["extensions"] if extension["name"] == "kubeworthy")


def names() -> list[str]:
    """The names of all experiments."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> Plan:
    """Read an experiment. Raises UnknownExperimentError."""
    if name not in names():
        near = get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UnknownExperimentError(f"there is no experiment {name!r}{hint} Known: {', '.join(names())}")
    return Plan(name, json.loads((FOLDER / f"{name}.json").read_text()))
