"""The ledger: every write that a server acknowledged, held against what the cluster still has afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from chaos.outage import Failure
from fixtures.api import Api, ApiError, Conflict, Rubbish, ServerFault, Throttled, TimedOut, TlsError, Unreachable
from fixtures.limits import CHAOS_PROBE_DEADLINE

LABEL = "kubeworthy/ledger"
_CLASSES: tuple[tuple[type[ApiError], Failure], ...] = (
    (TimedOut, Failure.TIMEOUT),
    (Throttled, Failure.THROTTLED),
    (ServerFault, Failure.SERVER),
    (TlsError, Failure.TLS),
    (Unreachable, Failure.RESET),
    (Rubbish, Failure.BODY),
)


@dataclass(frozen=True, slots=True)
class Balance:
    """The ledger's end: how many writes were acknowledged, which of them are lost or changed, and how many others are
    there.

    A write that got no answer may have been stored or not; both are right, so these are only counted.
    """

    acknowledged: int
    lost: tuple[str, ...]
    unacknowledged: int
    stored_unacknowledged: int


class Ledger:
    """Writes ConfigMaps through one server; as an Attempt, it is driven by a Prober."""

    def __init__(self, api: Api, namespace: str, labels: dict[str, str], name: str) -> None:
        """`name` tells this ledger's objects from those of others in the namespace; `labels` are put on each."""
        self._api, self._name, self._labels = api, name, {**labels, LABEL: name}
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._lock = threading.Lock()
        self._count = 0
        self._acknowledged: dict[str, str] = {}
        self._unanswered: set[str] = set()

    def __call__(self, deadline: float) -> Failure | None:
        """Write one object and keep what the server said. It is the Prober that counts time and windows."""
        with self._lock:
            self._count += 1
            name = f"{self._name}-{self._count}"
        body = {"metadata": {"name": name, "labels": self._labels}, "data": {"entry": name}}
        try:
            stored = self._api.create(self._path, body, timeout=_left(deadline))
        except Conflict:
            raise  # nobody else writes these names, so this is a bug and no outage
        except ApiError as error:
            with self._lock:
                self._unanswered.add(name)
            return classed(error)
        with self._lock:
            self._acknowledged[name] = stored["metadata"]["uid"]
        return None

    def balance(self, api: Api) -> Balance:
        """Read every object back through `api`, from etcd and not from a cache. Raises ApiError."""
        found: dict[str, str] = {}
        for page in api.pages(self._path, {"labelSelector": f"{LABEL}={self._name}"}):
            for entry in page["items"]:
                name = entry["metadata"]["name"]
                if entry.get("data") == {"entry": name}:
                    found[name] = entry["metadata"]["uid"]
        lost = sorted(name for name, uid in self._acknowledged.items() if found.get(name) != uid)
        return Balance(
            len(self._acknowledged), tuple(lost), len(self._unanswered), len(self._unanswered & found.keys())
        )


def classed(error: ApiError) -> Failure:
    """The class of a failed call, in the prober's words."""
    return next((failure for kind, failure in _CLASSES if isinstance(error, kind)), Failure.STATUS)


def total(balances: Iterable[Balance]) -> Balance:
    """The balance of several ledgers together."""
    every = list(balances)
    return Balance(
        sum(one.acknowledged for one in every),
        tuple(name for one in every for name in one.lost),
        sum(one.unacknowledged for one in every),
        sum(one.stored_unacknowledged for one in every),
    )


def _left(deadline: float) -> float:
    return max(0.001, min(CHAOS_PROBE_DEADLINE.value, deadline - time.monotonic()))
