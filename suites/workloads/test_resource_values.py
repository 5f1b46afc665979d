"""The resources of the assessed DaemonSet's main container."""

from __future__ import annotations

from fixtures.policy import Policy
from fixtures.quantities import quantity
from fixtures.readiness import Findings, readiness
from fixtures.resources import NO_DEFAULTS, limit_range_defaults, requests_and_limits
from fixtures.subjects import Container, Reader, Workload

READS = ("limitranges",)


@readiness("workloads.cpu-request", severity="medium", reads=READS)
def test_cpu_request(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The main container's CPU request is 50m.

    Why: what an agent asks for is taken from every node, so the figure is agreed on and held.
    How: resources.requests.cpu of the main container equals subjects.daemon_sets.cpu_request of the policy file
    (50m); a LimitRange's default counts. The main container is subjects.daemon_sets.main_container, else the only
    one.
    Fix: set `resources: {requests: {cpu: 50m}}`.
    Does not prove: that the figure fits what the program uses.
    """
    expect_value(daemon_set, findings, inventory, policy, "requests", "cpu")


@readiness("workloads.memory-request", severity="medium", reads=READS)
def test_memory_request(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The main container's memory request is 64Mi.

    Why: what an agent asks for is taken from every node, so the figure is agreed on and held.
    How: resources.requests.memory of the main container equals subjects.daemon_sets.memory_request of the policy file
    (64Mi); a LimitRange's default counts. The main container is subjects.daemon_sets.main_container, else the only
    one.
    Fix: set `resources: {requests: {memory: 64Mi}}`.
    Does not prove: that the figure fits what the program uses.
    """
    expect_value(daemon_set, findings, inventory, policy, "requests", "memory")


@readiness("workloads.cpu-limit", severity="high", reads=READS)
def test_cpu_limit(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The main container's CPU limit is 300m.

    Why: an agent that runs wild must not slow down everything else on its node.
    How: resources.limits.cpu of the main container equals subjects.daemon_sets.cpu_limit of the policy file (300m); a
    LimitRange's default counts. The main container is subjects.daemon_sets.main_container, else the only one.
    Fix: set `resources: {limits: {cpu: 300m}}`.
    Does not prove: that the program is not throttled.
    """
    expect_value(daemon_set, findings, inventory, policy, "limits", "cpu")


@readiness("workloads.memory-limit", severity="high", reads=READS)
def test_memory_limit(daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The main container's memory limit is 256Mi.

    Why: an agent that leaks must be killed before its node runs out of memory.
    How: resources.limits.memory of the main container equals subjects.daemon_sets.memory_limit of the policy file
    (256Mi); a LimitRange's default counts. The main container is subjects.daemon_sets.main_container, else the only
    one.
    Fix: set `resources: {limits: {memory: 256Mi}}`.
    Does not prove: that the program stays below it.
    """
    expect_value(daemon_set, findings, inventory, policy, "limits", "memory")


def expect_value(
    daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy, kind: str, resource: str
) -> None:
    """Expect one request or limit (`kind`: "requests" or "limits") of the main container to be the policy file's."""
    expected = getattr(policy.subjects.daemon_sets, f"{resource}_{kind.removesuffix('s')}")
    container = _main(daemon_set, findings, policy.subjects.daemon_sets.main_container)
    defaults = inventory.derive(limit_range_defaults).get(daemon_set.namespace, NO_DEFAULTS)
    requests, limits = requests_and_limits(container.raw, defaults)
    value = (requests if kind == "requests" else limits).get(resource)
    equal = value is not None and quantity(value) == quantity(expected)
    findings.expect(equal, f"{container}.resources.{kind}.{resource}", expected=expected, observed=value)


def _main(daemon_set: Workload, findings: Findings, name: str) -> Container:
    containers = [one for one in daemon_set.containers if one.role == "containers"]
    named = [one for one in containers if one.name == name] or (containers if len(containers) == 1 else [])
    if not named:
        names = ", ".join(one.name for one in containers)
        findings.not_assessed(f"which of {names} is the main container? Name it in subjects.daemon_sets.main_container")
    return named[0]
