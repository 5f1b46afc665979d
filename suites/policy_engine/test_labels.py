"""Whether objects without the labels that their owner insists on get in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import IMAGE, compliant
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster
from fixtures.subjects.places import namespaces
from fixtures.subjects.workload import READS

Raw = dict[str, Any]


@readiness(
    "policy-engine.required-labels-policy",
    severity="medium",
    needs=("api",),
    reads=("namespaces", *READS),
    consent="probes",
    uses=("namespaces", "deployments", "pods"),
)
def test_objects_without_required_labels_are_refused(
    cluster: WholeCluster, findings: Findings, lab: Workbench, inventory: Reader, policy: Policy
) -> None:
    """Admission refuses objects without the labels that are required of them.

    Why: Cost, ownership and network rules hang on labels; an object without them belongs to nobody.
    How: For each resource that subjects.required_labels of the policy file names, an object with all labels and one
        without each of them in turn are created with dryRun=All: deployments and pods in every judged namespace.
    Fix: Bind a required-labels constraint in deny mode, or a ValidatingAdmissionPolicy, to those resources.
    Does not prove: That the values are right: any value that the policy accepts will do.
    """
    required = policy.subjects.required_labels
    if required is None:
        findings.not_assessed("subjects.required_labels of the policy file does not say which; {} says that none are")
    if not any(required.values()):
        findings.not_applicable("subjects.required_labels of the policy file requires none")
    judged = [one.short_name for one in inventory.derive(namespaces)]
    for resource, labels in required.items():
        for place in ("",) if resource == "namespaces" else judged:
            _ask(lab, findings, resource, labels, place)


def _ask(lab: Workbench, findings: Findings, resource: str, labels: Mapping[str, str], place: str) -> None:
    where = f"{resource} in Namespace {place}" if place else resource
    if refusal := lab.dry_run(resource, _object(resource, labels), place):
        findings.not_assessed(f"{where}: one with all required labels is refused as well: {refusal.message}")
    for key in labels:
        rest = {name: value for name, value in labels.items() if name != key}
        refusal = lab.dry_run(resource, _object(resource, rest), place)
        findings.expect(refusal is not None, where, expected=f"refused without the label {key}", observed="admitted")


def _object(resource: str, labels: Mapping[str, str]) -> Raw:
    """An object of a resource with these labels and no others; the pods of a Deployment carry them as well."""
    metadata = {"name": "kubeworthy-asked-about", "labels": dict(labels)}
    pod = compliant(IMAGE)["spec"]
    if resource == "namespaces":
        return {"metadata": metadata}
    if resource == "pods":
        return {"metadata": metadata, "spec": pod}
    own = {"kubeworthy/asked-about": "yes"}
    template = {"metadata": {"labels": {**labels, **own}}, "spec": pod}
    return {"metadata": metadata, "spec": {"replicas": 1, "selector": {"matchLabels": own}, "template": template}}
