"""Whether the node agents under assessment would pass the standard that their namespace enforces."""

from __future__ import annotations

import copy
import re
from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import compliant
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, Workload
from suites.pod_security.violations import violating

ENFORCE = "pod-security.kubernetes.io/enforce"
_LEVELS = ("baseline", "restricted")
_LEFT_OUT = ("serviceAccountName", "serviceAccount", "nodeName", "priority", "priorityClassName", "imagePullSecrets")
"""What names other objects, and has nothing to do with the standards."""
_REFUSAL = re.compile(r'violates PodSecurity "[^"]*": (.*)', re.DOTALL)


@readiness(
    "pod-security.pss-compliance",
    severity="high",
    needs=("api",),
    reads=("namespaces",),
    consent="probes",
    uses=("namespaces", "pods"),
)
def test_agents_comply_with_their_standard(
    daemon_set: Workload, findings: Findings, lab: Workbench, inventory: Reader
) -> None:
    """The DaemonSet complies with the standard that its namespace enforces.

    Why: An agent runs on every node; a standard that its namespace does not enforce is a good intention.
    How: The namespace enforces baseline or restricted by its label. The pod template is created with dryRun=All in a namespace
        of the run's own that enforces the same level (baseline where there is none), in which a compliant pod is admitted and
        a privileged one refused. Service account, priority and pull secrets are left out.
    Fix: Correct the fields that are listed and label the namespace; an agent that needs the host gets a waiver with a date.
    Does not prove: That a policy engine beside Pod Security admission agrees.
    """
    labels = {one["metadata"]["name"]: one["metadata"].get("labels") or {} for one in inventory.objects("namespaces")}
    level = labels.get(daemon_set.namespace, {}).get(ENFORCE, "")
    findings.expect(
        level in _LEVELS,
        f"Namespace {daemon_set.namespace}",
        expected=f"{ENFORCE}: baseline or restricted",
        observed=level or None,
    )
    standard = level if level in _LEVELS else "baseline"
    with lab.place("standard", own=True, standard=standard) as place:
        if refusal := lab.dry_run("pods", compliant(), place.name):
            findings.not_assessed(f"a compliant pod is refused in a namespace of the run's own: {refusal.message}")
        if not lab.dry_run("pods", violating("privileged: true"), place.name):
            findings.not_assessed(
                "Pod Security admission is off: a privileged pod is admitted under a label that forbids it"
            )
        refusal = lab.dry_run("pods", _pod(daemon_set), place.name)
    said = _REFUSAL.search(refusal.message) if refusal else None
    if refusal and not said:
        findings.inconclusive(f"the template is refused for another reason: {refusal.message}")
    findings.expect(
        said is None, "spec.template", expected=f"complies with {standard}", observed=said and said[1].replace("\\", "")
    )


def _pod(workload: Workload) -> dict[str, Any]:
    spec = {key: value for key, value in copy.deepcopy(workload.pod_spec).items() if key not in _LEFT_OUT}
    annotations = (workload.template.get("metadata") or {}).get("annotations") or {}
    metadata = {"name": "asked-about", "labels": dict(workload.pod_labels), "annotations": dict(annotations)}
    return {"metadata": metadata, "spec": spec}
