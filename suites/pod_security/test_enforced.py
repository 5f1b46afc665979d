"""Rules for containers that admission has to enforce, whoever creates the pod."""

from __future__ import annotations

from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import broken, every_container, expect_refused
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace

Raw = dict[str, Any]


@readiness("pod-security.non-root-enforced", severity="high", needs=("api",), consent="probes", uses=("pods",))
def test_root_is_refused(namespace: Namespace, findings: Findings, lab: Workbench) -> None:
    """Admission refuses containers that run as root, or may.

    Why: A process that is root in its container is root on the node as soon as it leaves it.
    How: In the namespace, a compliant pod and two without runAsNonRoot, of which one says runAsUser 0, are created with
        dryRun=All. Whatever refuses them counts, and so does a mutation that corrects them; a warning does not.
    Fix: Label the namespace pod-security.kubernetes.io/enforce=restricted, or bind an equivalent policy in deny mode.
    Does not prove: That other users are not exempt: the dry run is sent as the identity of this run.
    """
    expect_refused(
        lab,
        findings,
        namespace.short_name,
        (
            broken("runAsUser: 0 and no runAsNonRoot", lambda spec: _user(spec, 0), _not_root),
            broken("neither runAsUser nor runAsNonRoot", lambda spec: _user(spec, None), _not_root),
        ),
    )


@readiness("pod-security.read-only-root-enforced", severity="high", needs=("api",), consent="probes", uses=("pods",))
def test_writable_root_filesystems_are_refused(namespace: Namespace, findings: Findings, lab: Workbench) -> None:
    """Admission refuses containers with a writable root filesystem.

    Why: What cannot be written cannot be replaced by an attacker's program. No Pod Security Standard asks for it, so that
        only a policy of your own enforces it.
    How: In the namespace, a compliant pod, one without readOnlyRootFilesystem and one whose init container has it false are
        created with dryRun=All. Whatever refuses them counts, and so does a mutation that corrects them.
    Fix: Bind a ValidatingAdmissionPolicy, or a rule of your policy engine, that wants readOnlyRootFilesystem: true of
        containers, initContainers and ephemeralContainers.
    Does not prove: That other users are not exempt: the dry run is sent as the identity of this run.
    """
    field = "readOnlyRootFilesystem"
    expect_refused(
        lab,
        findings,
        namespace.short_name,
        (
            broken(f"no {field}", lambda spec: _context(spec["containers"], field, None), _all_say(field, True)),
            broken(
                f"{field}: false in an init container",
                lambda spec: _context(spec["initContainers"], field, False),
                _all_say(field, True),
            ),
        ),
    )


@readiness("pod-security.no-escalation-enforced", severity="high", needs=("api",), consent="probes", uses=("pods",))
def test_privilege_escalation_is_refused(namespace: Namespace, findings: Findings, lab: Workbench) -> None:
    """Admission refuses containers that may gain privileges.

    Why: Without no_new_privs a setuid program inside the image makes root of any user.
    How: In the namespace, a compliant pod, one without allowPrivilegeEscalation, which means true, and one whose init
        container has it true are created with dryRun=All. Whatever refuses them counts, and so does a mutation that
        corrects them.
    Fix: Label the namespace pod-security.kubernetes.io/enforce=restricted, or bind an equivalent policy in deny mode.
    Does not prove: That other users are not exempt: the dry run is sent as the identity of this run.
    """
    field = "allowPrivilegeEscalation"
    expect_refused(
        lab,
        findings,
        namespace.short_name,
        (
            broken(f"no {field}", lambda spec: _context(spec["containers"], field, None), _all_say(field, False)),
            broken(
                f"{field}: true in an init container",
                lambda spec: _context(spec["initContainers"], field, True),
                _all_say(field, False),
            ),
        ),
    )


def _user(spec: Raw, uid: int | None) -> None:
    spec["securityContext"].pop("runAsNonRoot")
    _set(spec["securityContext"], "runAsUser", uid)


def _not_root(spec: Raw) -> bool:
    """Whether every container has to run as another user than root, by its own security context or the pod's."""
    pod = spec.get("securityContext") or {}
    contexts = [{**pod, **(container.get("securityContext") or {})} for container in every_container(spec)]
    return all(one.get("runAsNonRoot") or one.get("runAsUser") for one in contexts)


def _context(containers: list[Raw], field: str, value: bool | None) -> None:
    for container in containers:
        _set(container["securityContext"], field, value)


def _all_say(field: str, value: bool) -> Any:
    def kept(spec: Raw) -> bool:
        return all((one.get("securityContext") or {}).get(field) is value for one in every_container(spec))

    return kept


def _set(context: Raw, field: str, value: Any) -> None:
    if value is None:
        context.pop(field)
    else:
        context[field] = value
