"""What mutating webhooks and policies make of an object."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from fixtures.api import ApiError
from fixtures.lab import Workbench, objects
from fixtures.lab.asked import IMAGE, compliant, every_container
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace, Reader

Raw = dict[str, Any]
WEBHOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
POLICIES = "mutatingadmissionpolicies.admissionregistration.k8s.io"
_SERVERS = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "generateName")
"""What the server fills in anew each time."""
_ALLOCATED = ("clusterIP", "clusterIPs", "healthCheckNodePort")


@readiness(
    "admission.mutating-webhooks",
    severity="medium",
    needs=("api",),
    reads=(WEBHOOKS, POLICIES),
    consent="probes",
    uses=("pods", "deployments", "services"),
)
def test_mutations_are_idempotent_and_safe(
    namespace: Namespace, findings: Findings, lab: Workbench, inventory: Reader
) -> None:
    """Mutations change an object once, and never loosen its security.

    Why: A mutation that changes its own result again makes controllers fight it for ever; one that removes a security context
        undoes what was reviewed.
    How: In the namespace, a pod, a Deployment and a Service are created with dryRun=All, and what comes back is created
        again the same way: nothing may change. The pod's containers may not become privileged, gain capabilities, lose a part
        of their security context, nor the pod the host's namespaces or files.
    Fix: Make the patch idempotent, with reinvocationPolicy IfNeeded where the order matters; leave security contexts alone.
    Does not prove: That webhooks answer in time, nor that their certificates hold.
    """
    policies = inventory.objects(POLICIES) if inventory.served(POLICIES) else ()
    if not inventory.objects(WEBHOOKS) and not policies:
        findings.not_applicable("there is no mutating webhook and no mutating policy")
    for resource, body in _bodies():
        first = _asked(lab, findings, resource, body, namespace.short_name)
        second = _asked(lab, findings, resource, first, namespace.short_name)
        changed = sorted(_differences(first, second))
        findings.expect(not changed, resource, expected="the same when it is sent again", observed=changed)
        if resource == "pods":
            loosened = sorted(_loose(first["spec"]) - _loose(body["spec"]))
            findings.expect(not loosened, resource, expected="as strict as it was sent", observed=loosened)


def _bodies() -> tuple[tuple[str, Raw], ...]:
    pod = compliant(IMAGE)
    return (
        ("pods", pod),
        ("deployments", objects.deployment("asked-about", pod["spec"], 1)),
        ("services", objects.service("asked-about")),
    )


def _asked(lab: Workbench, findings: Findings, resource: str, body: Raw, place: str) -> Raw:
    """An object as it would be stored, without what the server fills in anew. A refusal ends the check."""
    answer = lab.ask(resource, body, place)
    if isinstance(answer, ApiError):
        findings.not_assessed(f"{resource} are refused here, so that no mutation is seen: {answer.message}")
    found = copy.deepcopy(answer)
    found.pop("status", None)
    for key in _SERVERS:
        found["metadata"].pop(key, None)
    for key in _ALLOCATED:
        found["spec"].pop(key, None)
    return found


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths at which two objects differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _differences(left, right, f"{path}[{index}]")
    elif one != other:
        yield path


def _loose(spec: Raw) -> set[str]:
    """What is loose about a pod, in words."""
    found = {key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)}
    found |= {f"volume {one['name']}: hostPath" for one in spec.get("volumes") or () if "hostPath" in one}
    pod = spec.get("securityContext") or {}
    for container in every_container(spec):
        context = {**pod, **(container.get("securityContext") or {})}
        capabilities = context.get("capabilities") or {}
        faults = {
            "privileged": context.get("privileged"),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is not False,
            "may be root": not context.get("runAsNonRoot") or context.get("runAsUser") == 0,
            "a writable root filesystem": not context.get("readOnlyRootFilesystem"),
            "not all capabilities dropped": "ALL" not in (capabilities.get("drop") or ()),
            "capabilities added": capabilities.get("add"),
            "no seccomp profile": not context.get("seccompProfile"),
        }
        found |= {f"container {container['name']}: {name}" for name, fault in faults.items() if fault}
    return found
