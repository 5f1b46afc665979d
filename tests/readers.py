"""A reader over objects that a test makes up, for what no API server here can show: a provider's zones, a driver, a user."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fixtures.policy import Policy
from fixtures.subjects import Reader

Raw = dict[str, Any]
T = TypeVar("T")


class Objects:
    """Objects by kind, as kubectl names kinds; a kind that is left out has none. Every kind is served."""

    def __init__(self, objects: Mapping[str, Sequence[Raw]], scope: Policy | None = None) -> None:
        self._objects = objects
        self.scope = scope or Policy()

    def objects(self, kind: str) -> Sequence[Raw]:
        return self._objects.get(kind, ())

    def served(self, kind: str) -> bool:
        return True

    def version(self) -> Raw:
        return {}

    def derive(self, build: Callable[[Reader], T]) -> T:
        return build(self)
