"""The catalogue of a run: what should hold, how much it matters, and whether this run had to prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.words import Severity

SCHEMA = "kubeworthy/properties/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyInfo:
    """One property as a run knew it.

    `ttl` is how long a proof of it holds, as the check spells it (`7d`); `doc` is the path of its page below the
    project's root (`docs/properties/<area>/<name>.md`); `source_digest` is the SHA-256 of the check's source in hex;
    `requirements` are the ids of the requirement lines that the property answers.
    """

    id: str
    title: str
    severity: Severity
    ttl: str
    required: bool
    selected: bool
    doc: str = ""
    source_digest: str = ""
    requirements: tuple[str, ...] = ()

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """The part of the id after the dot."""
        return self.id.partition(".")[2]

    def as_json(self) -> dict[str, Any]:
        """The property as plain JSON values, without its id (which is the key in properties.json)."""
        return {
            "title": self.title,
            "area": self.area,
            "severity": str(self.severity),
            "ttl": self.ttl,
            "required": self.required,
            "selected": self.selected,
            "doc": self.doc,
            "source_digest": self.source_digest,
            "requirements": list(self.requirements),
        }

    @classmethod
    def from_json(cls, name: str, plain: Mapping[str, Any]) -> PropertyInfo:
        """Read a property back. Raises KeyError, TypeError or ValueError for something else."""
        fields = {key: value for key, value in plain.items() if key != "area"}
        severity, requirements = Severity(fields.pop("severity")), tuple(fields.pop("requirements"))
        return cls(id=name, severity=severity, requirements=requirements, **fields)


def catalogue_as_json(properties: Mapping[str, PropertyInfo]) -> dict[str, Any]:
    """The content of properties.json. Raises ValueError where a key is not the id of its property."""
    for name, info in properties.items():
        if name != info.id:
            raise ValueError(f"the catalogue lists {info.id} under the name {name}")
    return {"schema": SCHEMA, "properties": {name: properties[name].as_json() for name in sorted(properties)}}


def catalogue_from_json(plain: Mapping[str, Any]) -> dict[str, PropertyInfo]:
    """Read properties.json back. Raises KeyError, TypeError or ValueError for something else."""
    if plain.get("schema") != SCHEMA:
        raise ValueError(f"schema {plain.get('schema')!r} is not {SCHEMA!r}")
    return {name: PropertyInfo.from_json(name, info) for name, info in plain["properties"].items()}
