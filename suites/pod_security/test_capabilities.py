"""The Linux capabilities of containers."""

from __future__ import annotations

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Workload
from fixtures.subjects.assessed import chosen, place
from suites.pod_security.linux import only_on_linux

HARMLESS = frozenset({"NET_BIND_SERVICE"})
"""What the Pod Security Standard `restricted` allows to add: listening on a port below 1024."""


@readiness("pod-security.drop-all-capabilities", severity="high")
def test_containers_drop_all_capabilities(workload: Workload, findings: Findings) -> None:
    """Every container drops the capability set ALL.

    Why: container runtimes grant some fourteen capabilities that hardly any program needs, CHOWN and NET_RAW among
    them.
    How: securityContext.capabilities.drop of each container holds the word ALL; a list of single names is not enough,
    and a privileged container drops nothing whatever it says.
    Fix: set `securityContext: {capabilities: {drop: [ALL]}}` and add back only what is proved to be needed.
    Does not prove: that what is added back is harmless (pod-security.minimal-added-capabilities).
    """
    only_on_linux(workload, findings)
    for container in workload.containers:
        dropped = "ALL" in container.dropped and not container.privileged
        observed = "privileged: true" if container.privileged else container.dropped
        findings.expect(dropped, container, expected="drop: [ALL]", observed=observed)


@readiness("pod-security.minimal-added-capabilities", severity="high")
def test_containers_add_hardly_any_capability(workload: Workload, findings: Findings, policy: Policy) -> None:
    """No container adds a capability beyond NET_BIND_SERVICE and those declared.

    Why: SYS_ADMIN, NET_ADMIN, SYS_PTRACE and their like are most of what root is.
    How: securityContext.capabilities.add of each container, against NET_BIND_SERVICE and the names that the policy
    file declares for the workload under subjects.capabilities, by pattern over "namespace/name".
    Fix: remove the addition, or declare it: `subjects: {capabilities: {"shop/vpn": [NET_ADMIN]}}`.
    Does not prove: that the declared capabilities are needed, nor what a privileged container may do.
    """
    only_on_linux(workload, findings)
    declared = policy.subjects.capabilities
    allowed = HARMLESS.union(*(names for pattern, names in declared.items() if chosen([pattern], place(workload.raw))))
    for container in workload.containers:
        beyond = sorted(set(container.added) - allowed)
        expected = f"add: nothing but {', '.join(sorted(allowed))}"
        findings.expect(not beyond, container, expected=expected, observed=beyond)
