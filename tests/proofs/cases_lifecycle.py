"""Planted defects and near misses of what controllers repair, on nodes that run nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from tests.proofs.builders import daemon_set
from tests.proofs.case import Case, defect, near_miss

RESTART = "workloads.automatic-restart"
AGENT = "DaemonSet {ns}/agent"
QUICK = {"thresholds": {"operations.replacement": 5}}


def no_more_pods(api: Api, namespace: str) -> Callable[[], None]:
    """Let a quota refuse every further pod of the case's namespace; those that are there stay."""
    quota: dict[str, Any] = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.create(path, quota)
    return lambda: api.delete(f"{path}/none")


CASES: list[Case] = [
    near_miss(RESTART, "comes back", daemon_set(), subject=AGENT, pods=True),
    defect(
        RESTART,
        "a quota keeps it from coming back",
        daemon_set(),
        subject=AGENT,
        observed="did not come about within 5 s",
        pods=True,
        policy=QUICK,
        arrange=no_more_pods,
    ),
]
