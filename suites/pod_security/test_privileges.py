"""What a container may do to the node: privileges, privilege escalation, host namespaces, /proc."""

from __future__ import annotations

from fixtures.readiness import Findings, readiness
from fixtures.subjects import Container, Workload
from suites.pod_security.linux import only_on_linux

HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")


@readiness("pod-security.no-privileged-containers", severity="critical")
def test_no_container_is_privileged(workload: Workload, findings: Findings) -> None:
    """No container is privileged.

    Why: a privileged container sees every device of its node and skips seccomp and capabilities: an intruder in it
    owns the node.
    How: securityContext.privileged of containers and init containers of the template and of ephemeral containers of
    the live pods; absent means false.
    Fix: remove `privileged: true` and grant the single capability or device that is needed.
    Does not prove: that a container without it cannot reach the node by another way, such as a hostPath volume.
    """
    for container in workload.containers:
        findings.expect(
            not container.privileged, container, expected="privileged: false", observed=container.privileged
        )


@readiness("pod-security.no-privilege-escalation", severity="high")
def test_no_container_can_gain_privileges(workload: Workload, findings: Findings) -> None:
    """Every container sets allowPrivilegeEscalation to false.

    Why: otherwise a setuid program in the image gives a process more rights than the container was started with.
    How: securityContext.allowPrivilegeEscalation must be written out as false on each container, since absent means
    true.
    Fix: set `securityContext: {allowPrivilegeEscalation: false}` on each listed container.
    Does not prove: that the process has few rights to begin with.
    """
    only_on_linux(workload, findings)
    for container in workload.containers:
        value = container.own.get("allowPrivilegeEscalation")
        findings.expect(value is False, container, expected="allowPrivilegeEscalation: false", observed=value)


@readiness("pod-security.no-host-namespaces", severity="high")
def test_no_pod_shares_the_hosts_namespaces(workload: Workload, findings: Findings) -> None:
    """No pod shares the network, process or IPC namespace of its node.

    Why: in the node's namespaces a container reads its neighbours' traffic and processes and passes by network
    policies.
    How: hostNetwork, hostPID and hostIPC of the pod; on Windows windowsOptions.hostProcess of pod and containers.
    Fix: remove the field; expose ports through a Service, and ask for a waiver where a node agent truly needs it.
    Does not prove: that no hostPort is used.
    """
    for name in HOST_NAMESPACES:
        value = workload.pod_spec.get(name)
        findings.expect(
            value is not True, f"{workload.pod_spec_path}.{name}", expected=f"{name}: false", observed=value
        )
    for container in workload.containers:
        value = windows_option(container, "hostProcess")
        findings.expect(value is not True, container, expected="windowsOptions.hostProcess: false", observed=value)


@readiness("pod-security.default-proc-mount", severity="high")
def test_proc_is_masked(workload: Workload, findings: Findings) -> None:
    """Every container has the masked /proc of the container runtime.

    Why: an unmasked /proc lets a container read and write settings of the node's kernel.
    How: securityContext.procMount of each container is not set or is Default.
    Fix: remove `procMount: Unmasked`.
    Does not prove: which paths the container runtime masks.
    """
    only_on_linux(workload, findings)
    for container in workload.containers:
        value = container.own.get("procMount")
        findings.expect(value in (None, "Default"), container, expected="procMount: Default", observed=value)


def windows_option(container: Container, name: str) -> object:
    """A field of windowsOptions: the container's wins over the pod's, field by field; None where neither says."""
    own = container.own.get("windowsOptions") or {}
    value = own.get(name)
    return (container.shared.get("windowsOptions") or {}).get(name) if value is None else value
