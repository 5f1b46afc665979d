"""Whether admission looks at signatures and scans."""

from __future__ import annotations

from fixtures.lab import Workbench
from fixtures.lab.asked import compliant
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace


@readiness("image-security.admission-blocking", severity="high", needs=("api",), consent="probes", uses=("pods",))
def test_unsigned_and_vulnerable_images_are_refused(
    namespace: Namespace, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """Admission refuses images that are unsigned, or signed and vulnerable.

    Why: A scan and a signature that nothing insists on stop nobody.
    How: In the namespace, pods with the images of subjects.canary_images of the policy file are created with dryRun=All:
        the signed and clean one has to get in, the unsigned and the vulnerable one have to be refused.
    Fix: Set the image policy to enforce with failurePolicy Fail, and require the attestation of the scan.
    Does not prove: That the keys are kept well, nor what the scanner looks for.
    """
    canaries = policy.subjects.canary_images
    if canaries is None:
        findings.not_assessed("subjects.canary_images of the policy file names no images to ask about")
    place = namespace.short_name
    if refusal := lab.dry_run("pods", compliant(canaries.signed), place):
        findings.not_assessed(f"the signed image is refused, so that a refusal proves nothing: {refusal.message}")
    for name, image in (("unsigned", canaries.unsigned), ("vulnerable", canaries.vulnerable)):
        if image:
            refusal = lab.dry_run("pods", compliant(image), place)
            findings.expect(
                refusal is not None, namespace, expected=f"the {name} {image} is refused", observed="admitted"
            )
    if not canaries.vulnerable:
        findings.not_assessed("subjects.canary_images names no vulnerable image; the unsigned one is refused")
