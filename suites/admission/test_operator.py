"""Whether the operator under assessment really refuses what it is there to refuse."""

from __future__ import annotations

from typing import Any

from fixtures.lab import Workbench
from fixtures.lab.asked import broken, compliant
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, Workload

Raw = dict[str, Any]
WEBHOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"


@readiness(
    "admission.real-time-enforcement",
    severity="critical",
    needs=("api",),
    reads=(WEBHOOKS, "nodes"),
    consent="probes",
    uses=("namespaces", "pods"),
)
def test_operator_refuses_violations(operator: Workload, findings: Findings, lab: Workbench, inventory: Reader) -> None:
    """The operator's webhook refuses a privileged pod, and admits a compliant one.

    Why: An operator that promises enforcement and only reports lets the violation run until somebody reads the report.
    How: A validating webhook for pods points at a Service of the operator's namespace. In a namespace of the run's own, on
        which no Pod Security Standard is enforced, a compliant pod is created with dryRun=All and admitted, and a privileged
        one is refused, in that webhook's name.
    Fix: Enable the webhooks in the production overlay, register the configuration, and set the mode to enforce.
    Does not prove: That every rule of the operator's specification is enforced, nor what a policy engine refuses on its behalf.
    """
    names = [hook["name"] for raw in inventory.objects(WEBHOOKS) for hook in _of(raw, operator.namespace)]
    if not names:
        nodes = inventory.objects("nodes")
        if nodes and all("kwok.x-k8s.io/node" in (raw["metadata"].get("annotations") or {}) for raw in nodes):
            findings.not_assessed("the nodes are simulated: the operator does not run, and cannot register its webhook")
        findings.expect(False, operator, expected="a validating webhook for pods", observed="none is registered")
        return
    question = broken("privileged: true", _privileged, lambda spec: False)
    with lab.place("enforcement", own=True, standard="") as place:
        if refusal := lab.dry_run("pods", compliant(), place.name):
            findings.not_assessed(f"a compliant pod is refused, so that a refusal proves nothing: {refusal.message}")
        refusal = lab.dry_run("pods", question.pod, place.name)
    said = refusal.message if refusal else "admitted"
    refused = any(f'admission webhook "{name}"' in said for name in names)
    findings.expect(refused, operator, expected=f"a pod with {question.name} is refused by its webhook", observed=said)


def _of(raw: Raw, namespace: str) -> list[Raw]:
    """The webhooks of a configuration that are asked about new pods, by a Service of a namespace."""
    return [
        hook
        for hook in raw.get("webhooks") or ()
        if ((hook.get("clientConfig") or {}).get("service") or {}).get("namespace") == namespace
        and any(_pods(rule) for rule in hook.get("rules") or ())
    ]


def _pods(rule: Raw) -> bool:
    created = {"CREATE", "*"} & set(rule.get("operations") or ())
    return bool(created and {"pods", "*", "*/*"} & set(rule.get("resources") or ()))


def _privileged(spec: Raw) -> None:
    spec["containers"][0]["securityContext"].update(privileged=True, allowPrivilegeEscalation=True)
