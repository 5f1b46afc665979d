"""Pods that each break one rule of the Baseline Pod Security Standard."""

from __future__ import annotations

from typing import Any

from fixtures.lab.asked import compliant

BASELINE = ("privileged: true", "a hostPath volume", "hostNetwork: true", "hostPID: true")


def violating(rule: str) -> dict[str, Any]:
    """The compliant pod with one rule of `BASELINE` broken. Raises KeyError for another one."""
    pod = compliant()
    spec = pod["spec"]
    changes: dict[str, Any] = {
        "privileged: true": lambda: spec["containers"][0]["securityContext"].update(
            privileged=True, allowPrivilegeEscalation=True
        ),
        "a hostPath volume": lambda: spec.update(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
        "hostNetwork: true": lambda: spec.update(hostNetwork=True),
        "hostPID: true": lambda: spec.update(hostPID=True),
    }
    changes[rule]()
    return pod
