"""Whether pods without limits get in."""

from __future__ import annotations

from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import broken, every_container, expect_refused
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace

Raw = dict[str, Any]


@readiness("policy-engine.resource-limits-policy", severity="high", needs=("api",), consent="probes", uses=("pods",))
def test_pods_without_limits_are_refused(
    namespace: Namespace, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """Admission refuses containers without limits, or fills limits in.

    Why: A container without a memory limit takes its neighbours down with it when it leaks.
    How: In the namespace, a pod with limits and two without, of which one lacks them in its init container only, are
        created with dryRun=All. Refusal counts, and so do limits that a LimitRange or a mutation fills in: memory, and cpu
        unless subjects.cpu_limits of the policy file is false.
    Fix: Create a LimitRange of type Container with `default`, a ResourceQuota over limits, or bind a policy in deny mode.
    Does not prove: That the limits that are filled in fit what runs.
    """
    wanted = ("memory", "cpu") if policy.subjects.cpu_limits else ("memory",)

    def limited(spec: Raw) -> bool:
        return all(
            set(wanted) <= ((one.get("resources") or {}).get("limits") or {}).keys() for one in every_container(spec)
        )

    expect_refused(
        lab,
        findings,
        namespace.short_name,
        (
            broken("no limits", lambda spec: _unlimit(every_container(spec)), limited),
            broken("no limits in an init container", lambda spec: _unlimit(spec["initContainers"]), limited),
        ),
    )


def _unlimit(containers: Any) -> None:
    for container in containers:
        del container["resources"]["limits"]
