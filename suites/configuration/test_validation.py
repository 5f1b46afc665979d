"""Whether what runs is what was meant: no field that the API server ignored."""

from __future__ import annotations

import json

from fixtures.lab import Workbench
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Workload

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RESOURCES = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "CronJob": "cronjobs",
    "Job": "jobs",
    "Pod": "pods",
}


@readiness(
    "configuration.validation",
    severity="medium",
    needs=("api",),
    consent="probes",
    uses=tuple(f"{resource}:patch" for resource in RESOURCES.values()),
)
def test_applied_manifests_are_valid(workload: Workload, findings: Findings, lab: Workbench) -> None:
    """What was applied is valid, field by field, and would be admitted again.

    Why: A field that is misspelt is dropped without a word, and the limit, probe or policy that it meant is not there.
    How: The manifest in the annotation that kubectl apply and Argo CD keep is sent again as a patch with dryRun=All and
        fieldValidation=Strict, so that the server names unknown and duplicate fields, and all of admission has its say.
    Fix: Correct the field that is named, in the repository; validate manifests there before they are merged.
    Does not prove: That the repository is checked before a merge; nor anything of workloads without that annotation.
    """
    text, resource = workload.annotations.get(APPLIED), RESOURCES.get(workload.kind)
    if not text or not resource:
        findings.not_assessed("the manifest is not kept: it was not applied by kubectl's client side or by Argo CD")
    applied = json.loads(text)
    refusal = lab.dry_run_patch(resource, workload.short_name, applied, workload.namespace, fieldValidation="Strict")
    findings.expect(refusal is None, APPLIED, expected="valid, and admitted", observed=refusal and refusal.message)
