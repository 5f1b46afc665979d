"""Where images may come from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import IMAGE, compliant
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace

Raw = dict[str, Any]
_MIRROR = "kubernetes.io/config.mirror"
_DOCKER_HUB = ("docker.io", "index.docker.io")


@readiness(
    "policy-engine.allowed-registries-policy",
    severity="high",
    needs=("api",),
    consent="probes",
    uses=("pods", "pods/ephemeralcontainers:patch"),
)
def test_foreign_registries_are_refused(
    namespace: Namespace, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """Admission refuses images from registries that are not on the list.

    Why: Who can run any image of the internet needs no other way in.
    How: In the namespace, a pod with an image of the first of subjects.allowed_registries is created with dryRun=All, then
        pods with images from elsewhere: as container, as init container, from hosts and paths that only begin like an
        allowed one, and without a registry, which means Docker Hub. Where a pod runs in the namespace, an ephemeral
        container is added to it, as a dry run as well.
    Fix: Bind an allowed-repos policy in deny mode over all three lists of containers, its prefixes ending in a slash.
    Does not prove: That the list is right, nor that the images on it are.
    """
    allowed = policy.subjects.allowed_registries
    if not allowed:
        findings.not_assessed("subjects.allowed_registries of the policy file names no registry")
    good, place = _good(policy), namespace.short_name
    if refusal := lab.dry_run("pods", compliant(good), place):
        findings.not_assessed(
            f"a pod with the image {good} is refused, so that a refusal proves nothing: {refusal.message}"
        )
    for name, pod in _foreign(good, allowed):
        refusal = lab.dry_run("pods", pod, place)
        findings.expect(refusal is not None, namespace, expected=f"{name} is refused", observed="admitted")
    _ask_ephemeral(lab, findings, namespace, good)


def _ask_ephemeral(lab: Workbench, findings: Findings, namespace: Namespace, good: str) -> None:
    """The same for ephemeral containers, on a pod of the namespace; a mirror pod takes none."""
    pods = (pod for workload in namespace.workloads for pod in workload.pods)
    running = [pod.short_name for pod in pods if pod.node and not pod.ended and _MIRROR not in pod.annotations]
    if not running:
        return
    refusals = []
    for image in (good, IMAGE):
        change = {"spec": {"ephemeralContainers": [_ephemeral(image)]}}
        refusals.append(lab.dry_run_patch("pods/ephemeralcontainers", running[0], change, namespace.short_name))
    if refusals[0]:
        findings.not_assessed(f"an ephemeral container with the image {good} is refused: {refusals[0].message}")
    said = f"{IMAGE} as ephemeral container is refused"
    findings.expect(refusals[1] is not None, namespace, expected=said, observed="admitted")


def _good(policy: Policy) -> str:
    """An image from the list: the signed canary, where one is declared, since policies may want signatures, too."""
    canaries = policy.subjects.canary_images
    return canaries.signed if canaries else f"{policy.subjects.allowed_registries[0]}/probe:1"


def _foreign(good: str, allowed: Sequence[str]) -> Iterator[tuple[str, Raw]]:
    """Pods that each have one image from elsewhere, with what is wrong about them."""
    host, _, path = allowed[0].partition("/")
    images = [IMAGE, f"{host}.evil.invalid/{path or 'x'}/probe:1"]
    if path:
        images.append(f"{host}/{path}-evil/probe:1")
    if not any(one.partition("/")[0] in _DOCKER_HUB for one in allowed):
        images.append("probe:1")
    for image in images:
        yield f"{image} as container", _with(good, "containers", image)
    yield f"{IMAGE} as init container", _with(good, "initContainers", IMAGE)


def _with(good: str, containers: str, image: str) -> Raw:
    pod = copy.deepcopy(compliant(good))
    for container in pod["spec"][containers]:
        container["image"] = image
    return pod


def _ephemeral(image: str) -> Raw:
    """A container that keeps the restricted standard by itself, whatever the pod says."""
    spec = compliant(image)["spec"]
    [container] = spec["containers"]
    context = {**spec["securityContext"], **container["securityContext"]}
    return {
        "name": "kubeworthy-asked-about",
        "image": image,
        "args": container["args"],
        "securityContext": context,
    }
