"""The user that containers run as."""

from __future__ import annotations

import json

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Container, Workload
from suites.pod_security.linux import expect_uid, observed_uids, only_on_linux
from suites.pod_security.test_privileges import windows_option

ADMINISTRATOR = "containeradministrator"


@readiness("pod-security.non-root-containers", severity="critical")
def test_containers_run_as_another_user_than_root(workload: Workload, findings: Findings) -> None:
    """Every container runs as a user other than root.

    Why: root in a container is root for every bug of the kernel and the runtime, and for every file of a mounted
    volume.
    How: runAsNonRoot is true or runAsUser is at least 1, the container's value winning over the pod's, and runAsUser
    is never 0. The image's own USER does not count, since it can change unseen. On Windows runAsNonRoot or a
    runAsUserName other than ContainerAdministrator. Running containers whose kubelet reports UID 0 fail as well,
    injected ones too.
    Fix: build the image with a numeric USER and set `securityContext: {runAsNonRoot: true, runAsUser: 10001}`.
    Does not prove: that the user has few rights; `hostUsers: false` mitigates root, and is named, but is not enough.
    """
    for container in workload.containers:
        ok = _windows_user_is_plain(container) if container.windows else _user_is_not_root(container)
        expected = "runAsNonRoot: true" + (
            " or a plain runAsUserName" if container.windows else " or runAsUser of at least 1"
        )
        findings.expect(ok, container, expected=expected, observed=_user(container))
    for name, uids in sorted(observed_uids(workload).items()):
        mitigated = " in a user namespace of its own" if workload.pod_spec.get("hostUsers") is False else ""
        findings.expect(
            0 not in uids, f"status of container {name}", expected="a UID of at least 1", observed=f"UID 0{mitigated}"
        )


@readiness("pod-security.run-as-non-root", severity="high")
def test_the_kubelet_is_told_to_refuse_root(workload: Workload, findings: Findings) -> None:
    """The kubelet is told to refuse root: runAsNonRoot is true for every container.

    Why: only runAsNonRoot stops a container when an image, or a changed runAsUser, brings root back.
    How: securityContext.runAsNonRoot, the container's value winning over the pod's, is true, and runAsUser is not 0.
    Fix: set `runAsNonRoot: true` in the pod's securityContext and remove overrides in containers.
    Does not prove: which user the image names.
    """
    only_on_linux(workload, findings)
    for container in workload.containers:
        ok = container.run_as_non_root and container.run_as_user != 0
        findings.expect(ok, container, expected="runAsNonRoot: true", observed=_user(container))


@readiness("pod-security.run-as-uid-65534", severity="high")
def test_the_daemon_set_runs_as_nobody(daemon_set: Workload, findings: Findings, policy: Policy) -> None:
    """Every container of the assessed DaemonSet runs as UID 65534 (nobody).

    Why: one known UID without rights on any node lets file modes and audit rules be written for it.
    How: runAsUser, the container's value winning over the pod's, equals subjects.daemon_sets.uid of the policy file
    (65534). Where neither is set, the UID that the kubelet reports for running containers decides.
    Fix: set `securityContext: {runAsUser: 65534, runAsNonRoot: true}` in the pod template.
    Does not prove: that the UID owns nothing on the nodes.
    """
    expect_uid(daemon_set, findings, policy.subjects.daemon_sets.uid)


@readiness("pod-security.operator-run-as-user-65532", severity="medium")
def test_the_operator_runs_as_nonroot(operator: Workload, findings: Findings, policy: Policy) -> None:
    """Every container of the assessed operator runs as UID 65532 (nonroot).

    Why: 65532 is the UID of distroless images, which are built to run without rights.
    How: runAsUser, the container's value winning over the pod's, equals subjects.operator.uid of the policy file
    (65532). Where neither is set, the UID that the kubelet reports for running containers decides.
    Fix: set `securityContext: {runAsUser: 65532, runAsNonRoot: true}` in the pod template.
    Does not prove: what the operator's ServiceAccount may do.
    """
    assert policy.subjects.operator is not None  # the noun finds an operator only where the policy file names one
    expect_uid(operator, findings, policy.subjects.operator.uid)


def _user_is_not_root(container: Container) -> bool:
    uid = container.run_as_user
    return uid >= 1 if uid is not None else container.run_as_non_root


def _windows_user_is_plain(container: Container) -> bool:
    name = windows_option(container, "runAsUserName")
    if name is None:
        return container.run_as_non_root
    return str(name).rpartition("\\")[2].lower() != ADMINISTRATOR


def _user(container: Container) -> str:
    fields = {name: container.effective(name) for name in ("runAsNonRoot", "runAsUser")}
    fields["runAsUserName"] = windows_option(container, "runAsUserName")
    said = [f"{name}: {json.dumps(value)}" for name, value in fields.items() if value is not None]
    mitigated = " (in a user namespace of its own: hostUsers: false)" if container.pod.get("hostUsers") is False else ""
    return (", ".join(said) or "neither runAsNonRoot nor a user is set") + mitigated
