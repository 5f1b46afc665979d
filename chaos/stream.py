"""A watch that stamps every event with this process's monotonic clock on receipt, and that outlives the server it began
on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fixtures.api import Api, ApiError, Expired, Query
from fixtures.limits import CHAOS_POLL_INTERVAL, CHAOS_WATCH_SECONDS

T = TypeVar("T")


class MissedError(Exception):
    """What was waited for did not come before the deadline; the message says what, and what was seen instead."""


@dataclass(frozen=True, slots=True)
class Event:
    """One version of an object: when this process received it (monotonic seconds) and how (LISTED, ADDED, MODIFIED,
    DELETED).
    """

    at: float
    type: str
    object: dict[str, Any]

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.object["metadata"]["name"])

    @property
    def version(self) -> str:
        """The object's resourceVersion."""
        return str(self.object["metadata"]["resourceVersion"])


class Stream:
    """Watches a collection from a LIST on, in a thread of its own, and keeps every event.

    A stream that breaks goes on from its last resourceVersion at the next server, so that no event is lost; `breaks`
    holds when that was. Where a server has forgotten the version (410) it lists anew, and `gaps` counts that: events
    may be missing.
    """

    def __init__(self, apis: Sequence[Api], path: str, query: Query | None = None) -> None:
        self._apis, self._path, self._query = apis, path, query
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._version = ""
        self.breaks: list[float] = []
        self.gaps = 0

    def start(self) -> None:
        """List the collection, then follow it. Raises ApiError where the LIST fails."""
        self._list(self._apis[0])
        threading.Thread(target=self._follow, name=f"watch {self._path}", daemon=True).start()

    def stop(self) -> None:
        """Record nothing more. The thread ends at its next event or after CHAOS_WATCH_SECONDS; it is not waited for."""
        self._stopped.set()

    @property
    def events(self) -> tuple[Event, ...]:
        """All events so far, in the order of receipt."""
        with self._changed:
            return tuple(self._events)

    def until(self, find: Callable[[Sequence[Event]], T | None], deadline: float, what: str) -> T:
        """Wait until `find` finds something among the events. Raises MissedError at `deadline` (monotonic seconds)."""
        with self._changed:
            while (found := find(self._events)) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise MissedError(f"{what}: not seen on {self._path} in time ({len(self._events)} events seen)")
                self._changed.wait(left)
            return found

    def _list(self, api: Api) -> None:
        answer = api.get(self._path, self._query)
        self._version = answer["metadata"]["resourceVersion"]
        for found in answer["items"]:
            self._record("LISTED", found)

    def _follow(self) -> None:
        server = 0
        while not self._stopped.is_set():
            api = self._apis[server]
            try:
                for event in api.watch(self._path, self._version, CHAOS_WATCH_SECONDS.value, self._query):
                    if self._stopped.is_set():
                        return
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._record(event["type"], event["object"])
            except Expired:
                self.gaps += 1
                self._version = ""
            except ApiError:
                self.breaks.append(time.monotonic())
                server = (server + 1) % len(self._apis)
                self._stopped.wait(CHAOS_POLL_INTERVAL.value)
            if not self._version:
                server = self._list_anew(server)

    def _list_anew(self, server: int) -> int:
        try:
            self._list(self._apis[server])
        except ApiError:
            self.breaks.append(time.monotonic())
            self._stopped.wait(CHAOS_POLL_INTERVAL.value)
            return (server + 1) % len(self._apis)
        return server

    def _record(self, kind: str, found: dict[str, Any]) -> None:
        event = Event(time.monotonic(), kind, found)
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()
