"""Whether admission really refuses what the Pod Security Standards forbid, tried out by server-side dry runs."""

from __future__ import annotations

from fixtures.lab import Workbench
from fixtures.lab.asked import compliant
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace
from suites.pod_security.violations import BASELINE, violating


@readiness(
    "pod-security.standards-in-every-namespace",
    severity="critical",
    needs=("api",),
    consent="probes",
    uses=("pods",),
)
def test_standards_in_every_namespace(namespace: Namespace, findings: Findings, lab: Workbench) -> None:
    """Every namespace refuses pods that break the Baseline Pod Security Standard.

    Why: A pod that shares the host's namespaces, mounts its files or is privileged owns the node. What forbids it must act
        where the pod is created, for everyone, and not in a review.
    How: In the namespace, a compliant pod and four that each break one rule of the Baseline standard (privileged, hostPath,
        hostNetwork, hostPID) are created with dryRun=All, so that all of admission runs and nothing is stored. Whatever
        refuses them counts: Pod Security admission, a ValidatingAdmissionPolicy or a policy engine.
    Fix: Label the namespace pod-security.kubernetes.io/enforce=baseline, or restricted, with a pinned enforce-version.
    Does not prove: That other users are not exempt: the dry run is sent as the identity of this run.
    """
    if refusal := lab.dry_run("pods", compliant(), namespace.short_name):
        findings.not_assessed(
            f"a compliant pod is refused here, too, so that a refusal proves nothing: {refusal.message}"
        )
    for rule in BASELINE:
        refusal = lab.dry_run("pods", violating(rule), namespace.short_name)
        findings.expect(refusal is not None, namespace, expected=f"a pod with {rule} is refused", observed="admitted")
