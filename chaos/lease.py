"""What a Lease says about a failover: who leads, and how long taking over may last by client-go's own algorithm.

The algorithm (client-go tools/leaderelection): the leader renews every retry period R. A standby polls the Lease at
gaps of R to R * (1 + JitterFactor), counts the record's lease duration L from its own sight of the last change, and
takes over at the first poll after that. So the takeover comes L to L + 2 gaps after the last renewal, which was up to R
before the crash. A released Lease has no holder and is taken at the next poll.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from fixtures.limits import CHAOS_RETRY_PERIOD, LEASE_JITTER_FACTOR

FLAG = "--leader-elect-retry-period"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class LeaseError(ValueError):
    """The object is no Lease of a leader election, or its settings cannot be read."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """One version of a leader-election Lease; `duration` is `leaseDurationSeconds`, times as the server wrote them."""

    holder: str
    duration: float
    transitions: int
    renewed: str
    version: str
    strategy: str = ""

    @classmethod
    def of(cls, lease: dict[str, Any]) -> LeaseRecord:
        """Read a Lease object. Raises LeaseError where it has no `leaseDurationSeconds`."""
        spec = lease.get("spec", {})
        if "leaseDurationSeconds" not in spec:
            raise LeaseError(f"Lease {lease.get('metadata', {}).get('name', '?')} states no leaseDurationSeconds")
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=float(spec["leaseDurationSeconds"]),
            transitions=int(spec.get("leaseTransitions") or 0),
            renewed=spec.get("renewTime") or "",
            version=lease["metadata"]["resourceVersion"],
            strategy=spec.get("strategy") or "",
        )


@dataclass(frozen=True, slots=True)
class RetryPeriod:
    """The period in which a leader renews and a standby polls, in seconds, and where that number was read."""

    seconds: float
    origin: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The earliest and the latest takeover after the fault, in seconds, and the two settings that it follows from."""

    kind: Literal["crash", "graceful"]
    earliest: float
    latest: float
    duration: float
    retry: RetryPeriod

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.earliest:.1f} to {self.latest:.1f} s, from a lease of {self.duration:g} s"
            f" (the Lease itself) and a retry period of {self.retry.seconds:g} s ({self.retry.origin})"
        )


def crash_bound(duration: float, retry: RetryPeriod) -> Bound:
    """The bound after a leader that died without releasing its Lease: [L - R, L + 2 * R * (1 + JitterFactor)]."""
    gap = longest_gap(retry)
    return Bound("crash", max(0.0, duration - retry.seconds), duration + 2 * gap, duration, retry)


def graceful_bound(duration: float, retry: RetryPeriod) -> Bound:
    """The bound after a leader that released its Lease: a standby takes it at its next poll, [0, R * (1 +
    JitterFactor)].
    """
    return Bound("graceful", 0.0, longest_gap(retry), duration, retry)


def longest_gap(retry: RetryPeriod) -> float:
    """The longest time between two polls of a standby, in seconds: client-go waits R * (1 + JitterFactor * random)."""
    return retry.seconds * (1 + LEASE_JITTER_FACTOR.value)


def retry_period(arguments: list[str]) -> RetryPeriod:
    """The retry period that a component runs with, from its command line, its configuration file, or else the default.

    Raises LeaseError for a duration that is none, and OSError where the configuration file cannot be read.
    """
    flag = _value(arguments, FLAG)
    if flag:
        return RetryPeriod(seconds(flag), f"the process's flag {FLAG}")
    file = _value(arguments, "--config")
    if file:
        configured = (yaml.safe_load(Path(file).read_text()) or {}).get("leaderElection", {}).get("retryPeriod")
        if configured:
            return RetryPeriod(seconds(str(configured)), "the process's configuration file, leaderElection.retryPeriod")
    return RetryPeriod(CHAOS_RETRY_PERIOD.value, f"not set, so the default: {CHAOS_RETRY_PERIOD.origin}")


def seconds(duration: str) -> float:
    """A Go duration ("2s", "1m30s", "500ms") in seconds. Raises LeaseError for anything else."""
    total, rest = 0.0, duration.strip()
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = next((unit for unit in _UNITS if rest[digits:].startswith(unit)), "")
        if not digits or not unit:
            raise LeaseError(f"{duration!r} is no duration; Go writes 2s, 500ms or 1m30s")
        total += float(rest[:digits]) * _UNITS[unit]
        rest = rest[digits + len(unit) :]
    if not total:
        raise LeaseError(f"{duration!r} is no duration above zero")
    return total


def _value(arguments: list[str], flag: str) -> str:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument == flag:
            return following
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return ""
