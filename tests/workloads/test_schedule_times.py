"""When a CronJob is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fixtures.schedule import due_before

MONDAY = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)


def times(schedule: str, zone: str = "", at: datetime = MONDAY) -> list[str]:
    return [f"{one.astimezone(UTC):%d %H:%M:%S}" for one in due_before(schedule, zone, at, 2)]


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        ("*/30 * * * *", "", ["30 07:30:00", "30 07:00:00"]),
        ("0 9 * * 1-5", "", ["27 09:00:00", "26 09:00:00"]),
        ("0 9 * * MON-FRI", "Europe/Berlin", ["30 07:00:00", "27 08:00:00"]),
        ("@daily", "Asia/Tokyo", ["29 15:00:00", "28 15:00:00"]),
        ("0 0 1 * SUN", "", ["29 00:00:00", "22 00:00:00"]),
        ("5/20 * * * *", "", ["30 07:45:00", "30 07:25:00"]),
        ("0 6 ? * *", "", ["30 06:00:00", "29 06:00:00"]),
        ("@every 1h30m", "", ["30 06:30:00", "30 05:00:00"]),
        ("@every 90s", "", ["30 07:58:30", "30 07:57:00"]),
        ("@every 500ms", "", ["30 07:59:59", "30 07:59:58"]),
    ],
)
def test_the_last_times_come_newest_first(schedule: str, zone: str, expected: list[str]) -> None:
    assert times(schedule, zone) == expected


@pytest.mark.parametrize(
    ("schedule", "zone"), [("soon", ""), ("0 0 30 2 *", ""), ("@every x", ""), ("@daily", "Mars/X")]
)
def test_what_cannot_be_read_is_a_value_error(schedule: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        times(schedule, zone)
