"""A proof of a check: a planted defect that it must catch, or a near miss that it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fixtures.api import Api
from reports.words import Verdict

Raw = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Objects that are created on a real API server, and the verdict that the check must reach about one subject.

    Every namespaced object without a namespace goes into the case's own, which `{ns}` stands for in any string of the objects,
    the policy and the subject. `subject` is the subject's name (`Deployment {ns}/web`); "" means the only record that there is.
    `policy` is what the policy file would say besides its scope. `pods` makes the case wait until every pod is Ready.
    `alone` is for cases whose objects are cluster-wide and change what other cases see: they run one after another and
    are undone. `arrange` may act on the server after the objects exist (patch a status, cordon a node); it returns its undo.
    """

    property_id: str
    name: str
    verdict: Verdict
    objects: tuple[Raw, ...]
    subject: str = ""
    observed: str = ""
    policy: Raw = field(default_factory=dict)
    pods: bool = False
    alone: bool = False
    arrange: Callable[[Api, str], Callable[[], None]] | None = None

    @property
    def id(self) -> str:
        """The case's name as pytest shows it."""
        return f"{self.property_id}: {self.name}"


def defect(property_id: str, name: str, *objects: Raw, subject: str = "", observed: str = "", **more: Any) -> Case:
    """A planted defect: the check must fail on `subject`; `observed` must occur in one of the findings' `observed` or `at`."""
    return Case(property_id, name, Verdict.FAIL, objects, subject, observed, **more)


def near_miss(property_id: str, name: str, *objects: Raw, subject: str = "", **more: Any) -> Case:
    """Something that looks like the defect and is none: the check must pass on `subject`."""
    return Case(property_id, name, more.pop("verdict", Verdict.PASS), objects, subject, **more)
