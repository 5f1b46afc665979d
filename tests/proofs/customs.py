"""Custom resources for cases: their definitions are made for the case, and gone again before the next one starts."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from fixtures.api import Api, ApiError, Conflict, NotFound
from fixtures.inventory.kinds import BY_KIND, Kind

Raw = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEADLINE = 30.0
"""Seconds within which a definition is served, or gone."""


def customs(*raws: Raw) -> Callable[[Api, str], Callable[[], None]]:
    """An `arrange` that defines the kinds of the objects, without a schema, and creates the objects."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        objects: list[Raw] = json.loads(json.dumps(list(raws)).replace("{ns}", namespace))
        kinds = {_kind(raw)[0].name: _kind(raw) for raw in objects}
        for kind, version in kinds.values():
            _until(partial(_define, api, kind, version))
        for raw in objects:
            kind, version = _kind(raw)
            place = raw["metadata"].get("namespace", namespace) if kind.namespaced else ""
            path = kind.path(version, place)
            _until(partial(_create, api, path, raw))
        return lambda: _remove(api, list(kinds))

    return arrange


def _kind(raw: Raw) -> tuple[Kind, str]:
    group, _, version = raw["apiVersion"].rpartition("/")
    return BY_KIND[group, raw["kind"]], version


def _define(api: Api, kind: Kind, version: str) -> bool:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.name,
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {"plural": kind.resource, "kind": kind.kind},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    with contextlib.suppress(Conflict):  # it is being deleted, or was just created
        api.create(DEFINITIONS, definition)
    stored = api.get(f"{DEFINITIONS}/{kind.name}")
    conditions = {one["type"]: one["status"] for one in (stored.get("status") or {}).get("conditions") or ()}
    return conditions.get("Established") == "True" and "Terminating" not in conditions


def _create(api: Api, path: str, raw: Raw) -> bool:
    try:
        api.create(path, raw)
    except NotFound:  # one of the API servers has not heard of the definition yet
        return False
    return True


def _remove(api: Api, names: list[str]) -> None:
    for name in names:
        api.delete(f"{DEFINITIONS}/{name}")
    for name in names:
        _until(partial(_gone, api, name))


def _gone(api: Api, name: str) -> bool:
    try:
        api.get(f"{DEFINITIONS}/{name}")
    except NotFound:
        return True
    return False


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not _tried(done):
        assert time.monotonic() < deadline, f"a custom resource is not there, or not gone, after {DEADLINE} s"
        time.sleep(0.05)


def _tried(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except ApiError as error:
        if error.status in (404, 409, 503):
            return False
        raise
