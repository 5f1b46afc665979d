"""The share of its node that a pod may take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.resources import NO_DEFAULTS, Defaults, limit_range_defaults, requests_and_limits
from fixtures.subjects import Raw, Reader, Workload

WANTED = (("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory"))


@readiness("pod-security.resource-limits", severity="high", reads=("limitranges",))
def test_pods_carry_requests_and_limits(
    workload: Workload, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """All pods carry requests and limits for CPU and memory.

    Why: a pod without them is placed blindly and can starve every neighbour on its node.
    How: resources of containers and init containers of the live pods, which a LimitRange may have filled in; where no
    pod lives, of the template with the LimitRange's defaults. A value for the pod as a whole (spec.resources) counts
    for each container. `subjects: {cpu_limits: false}` in the policy file drops the CPU limit, never the memory
    limit.
    Fix: set `resources: {requests: {cpu, memory}, limits: {cpu, memory}}` in the template, or give the namespace a
    LimitRange.
    Does not prove: that the values fit what the program uses.
    """
    wanted = [pair for pair in WANTED if policy.subjects.cpu_limits or pair != ("limits", "cpu")]
    defaults = inventory.derive(limit_range_defaults).get(workload.namespace, NO_DEFAULTS)
    lacking: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for pod, spec, filled_in in _specimens(workload, defaults):
        for container, missing in _missing(spec, wanted, filled_in):
            lacking[(container, missing)].append(pod)
    for (container, missing), pods in lacking.items():
        at = f"{workload.pod_spec_path}.{container}" + (f" of {_some(pods)}" if pods[0] else "")
        expected = ", ".join(".".join(pair) for pair in wanted)
        findings.expect(not missing, at, expected=expected, observed=f"no {', '.join(missing)}")


def _specimens(workload: Workload, defaults: Defaults) -> Iterator[tuple[str, Raw, Defaults]]:
    alive = [pod for pod in workload.pods if not pod.ended]
    for pod in alive:
        yield pod.short_name, pod.spec, NO_DEFAULTS
    if not alive:
        yield "", workload.pod_spec, defaults


def _missing(spec: Raw, wanted: list[tuple[str, str]], defaults: Defaults) -> Iterator[tuple[str, tuple[str, ...]]]:
    requested, limited = requests_and_limits(spec)  # of the pod as a whole
    for role in ("containers", "initContainers"):
        for raw in spec.get(role) or ():
            requests, limits = requests_and_limits(raw, defaults)
            have = {"requests": requests.keys() | requested.keys(), "limits": limits.keys() | limited.keys()}
            yield (
                f"{role}[{raw.get('name', '')}]",
                tuple(f"{kind}.{name}" for kind, name in wanted if name not in have[kind]),
            )


def _some(pods: list[str]) -> str:
    return f"pod {pods[0]}" + (f" and {len(pods) - 1} more" if len(pods) > 1 else "")
