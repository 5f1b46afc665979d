"""Somebody else who acts on the cluster while a check runs: what a planted defect needs that is no object beforehand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fixtures.api import Api, ApiError, Expired, TimedOut, Unreachable

Raw = dict[str, Any]
_ROUND = 2
"""Seconds of one watch, after which the meddler looks whether it is to end."""


class Meddler(threading.Thread):
    """Watches a collection from now on and hands every event to `react`, until `stop`; an error of it is raised there."""

    def __init__(self, api: Api, collection: str, query: dict[str, str], react: Callable[[str, Raw], None]) -> None:
        super().__init__(daemon=True)
        self._api, self._collection, self._query, self._react = api, collection, query, react
        self._version = str(api.get(collection, query)["metadata"]["resourceVersion"])
        self._ended = threading.Event()
        self._error: ApiError | None = None
        self.start()

    def run(self) -> None:
        """Watch and react."""
        while not self._ended.is_set():
            try:
                for event in self._api.watch(self._collection, self._version, _ROUND, self._query):
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._react(event["type"], event["object"])
            except (TimedOut, Unreachable):
                continue
            except Expired:
                self._version = str(self._api.get(self._collection, self._query)["metadata"]["resourceVersion"])
            except ApiError as error:
                self._error = error
                return

    def stop(self) -> None:
        """End, and raise what went wrong meanwhile."""
        self._ended.set()
        self.join(10 * _ROUND)
        if self._error:
            raise self._error
