"""Dates of evidence: when something expires, in UTC, with a date holding to the end of its day."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


@lru_cache(maxsize=4096)
def last_moment(text: str) -> datetime:
    """The last moment, in UTC, at which something that expires at `text` still holds.

    `text` is an RFC 3339 moment, or a date (YYYY-MM-DD), which holds to the end of that day in UTC. Raises ValueError
    for anything else, a missing time zone and an empty text included.
    """
    if _DATE.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    if _MOMENT.fullmatch(text):
        return datetime.fromisoformat(text).astimezone(UTC)
    raise ValueError(f"{text!r} is neither a date (2026-12-31) nor a moment in RFC 3339 (2026-12-31T12:00:00Z)")


def expired(expires: str, at: datetime) -> bool:
    """Whether something that expires at `expires` no longer holds at `at`. Raises ValueError for an unreadable date."""
    return at > last_moment(expires)
