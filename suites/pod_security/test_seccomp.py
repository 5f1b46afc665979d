"""The system calls that containers may make."""

from __future__ import annotations

from fixtures.readiness import Findings, readiness
from fixtures.subjects import Workload
from suites.pod_security.linux import only_on_linux

FILTERING = frozenset({"RuntimeDefault", "Localhost"})
EXPECTED = "seccompProfile.type: RuntimeDefault or Localhost"


@readiness("pod-security.seccomp-profiles", severity="high")
def test_containers_run_under_a_seccomp_profile(workload: Workload, findings: Findings) -> None:
    """Every container runs under a seccomp profile, RuntimeDefault or Localhost.

    Why: the default profile keeps containers from dozens of system calls that kernel exploits are made of.
    How: seccompProfile.type, the container's value winning over the pod's. Unconfined fails, and so does a privileged
    container, whose profile is ignored. Where no type is set the kubelet's seccompDefault decides, which only the
    kubelet's own API shows: the right to read it is the right to run commands in every pod, so this suite does not
    ask for it, and the workload is not assessed.
    Fix: set `securityContext: {seccompProfile: {type: RuntimeDefault}}` in the pod template.
    Does not prove: that a Localhost profile exists on every node, nor what it filters.
    """
    only_on_linux(workload, findings)
    unset = []
    for container in workload.containers:
        if container.privileged:
            findings.expect(False, container, expected=EXPECTED, observed="ignored: the container is privileged")
        elif container.seccomp is None:
            unset.append(container.name)
        else:
            findings.expect(container.seccomp in FILTERING, container, expected=EXPECTED, observed=container.seccomp)
    if unset:
        names = ", ".join(unset)
        findings.not_assessed(
            f"no seccompProfile is set for {names}: the kubelet's seccompDefault decides, unseen from here"
        )


@readiness("pod-security.operator-seccomp-runtime-default", severity="high")
def test_the_operator_names_a_seccomp_profile(operator: Workload, findings: Findings) -> None:
    """Every container of the operator under assessment names a seccomp profile.

    Why: an operator holds more rights than any application, and cannot rely on how the nodes of strangers are set up.
    How: seccompProfile.type, the container's value winning over the pod's, is RuntimeDefault or Localhost; an absent
    one fails, since whether the kubelet then applies its default is not seen in the API.
    Fix: set `securityContext: {seccompProfile: {type: RuntimeDefault}}` in the operator's pod template.
    Does not prove: what a Localhost profile filters.
    """
    only_on_linux(operator, findings)
    for container in operator.containers:
        ok = container.seccomp in FILTERING and not container.privileged
        observed = "ignored: the container is privileged" if container.privileged else container.seccomp
        findings.expect(ok, container, expected=EXPECTED, observed=observed)
