"""Planted defects and near misses of manifests, templates and entrances that admission is asked about."""

from __future__ import annotations

import json
from typing import Any

from reports.words import Verdict
from tests.proofs.builders import cron_job, daemon_set, deployment, idle, merge, named
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.cases_admission import level, only_warns
from tests.proofs.enforcing import admission_policy, in_force

Raw = dict[str, Any]
COMPLIANCE = "pod-security.pss-compliance"
VALIDATION = "configuration.validation"
ENCRYPTION = "compliance.encryption-enforced"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
AGENT, WEB, HERE = "DaemonSet {ns}/agent", "Deployment {ns}/web", "Namespace {ns}"


def agent(**pod: Any) -> Raw:
    return idle(daemon_set("agent", pod=pod))


HOST_FILES = {"volumes": [{"name": "logs", "hostPath": {"path": "/var/log"}}]}
_COMPLIANCE = [
    defect(
        COMPLIANCE,
        "mounts the host's files in a namespace of baseline",
        agent(**HOST_FILES),
        subject=AGENT,
        observed="hostPath",
        arrange=level("baseline"),
    ),
    defect(COMPLIANCE, "the namespace enforces nothing", agent(), subject=AGENT, observed="not set"),
    defect(COMPLIANCE, "the namespace only warns", agent(), subject=AGENT, observed="not set", arrange=only_warns),
    defect(
        COMPLIANCE,
        "made before its namespace was held to restricted",
        agent(securityContext={"seccompProfile": None}),
        subject=AGENT,
        observed="seccompProfile",
        arrange=level("restricted"),
    ),
    near_miss(COMPLIANCE, "complies with restricted", agent(), subject=AGENT, arrange=level("restricted")),
    near_miss(
        COMPLIANCE,
        "complies with baseline, not with restricted, in a namespace of baseline",
        agent(securityContext={"seccompProfile": None}, priorityClassName="system-node-critical"),
        subject=AGENT,
        arrange=level("baseline"),
    ),
]


def applied(raw: Raw, **more: Any) -> Raw:
    """An object whose annotation says that another form of it (with `more` merged in) was applied."""
    text = json.dumps(merge(merge(raw, {"metadata": {"namespace": "{ns}"}}), more))
    return merge(raw, {"metadata": {"annotations": {APPLIED: text}}})


PLAIN = deployment("web", replicas=0)
_VALIDATION = [
    defect(
        VALIDATION,
        "a misspelt field of the pod",
        applied(PLAIN, spec={"template": {"spec": {"priorityClass": "high"}}}),
        subject=WEB,
        observed="priorityClass",
    ),
    defect(
        VALIDATION,
        "a misspelt list",
        applied(PLAIN, spec={"template": {"spec": {"tolerationz": [{"key": "a"}], "afinity": {"nodeAffinity": {}}}}}),
        subject=WEB,
        observed="tolerationz",
    ),
    defect(
        VALIDATION,
        "a policy of today refuses it",
        applied(PLAIN, spec={"replicas": 3}),
        *admission_policy("object.spec.replicas < 3", resource="deployments", group="apps"),
        subject=WEB,
        observed="denied",
        arrange=in_force(),
    ),
    near_miss(VALIDATION, "what runs is what was applied", applied(PLAIN), subject=WEB),
    near_miss(VALIDATION, "somebody scaled it since", applied(PLAIN, spec={"replicas": 5}), subject=WEB),
    near_miss(VALIDATION, "a CronJob", applied(cron_job("report")), subject="CronJob {ns}/report"),
    near_miss(VALIDATION, "nothing is kept of how it was applied", PLAIN, subject=WEB, verdict=Verdict.NOT_ASSESSED),
]


def over(*rules: tuple[str, str, str]) -> tuple[Raw, Raw]:
    """A policy over several resources: (group, resource, expression)."""
    held = [f"request.resource.resource != '{resource}' || ({expression})" for _, resource, expression in rules]
    policy, binding = admission_policy(*held)
    [first, *rest] = policy["spec"]["matchConstraints"]["resourceRules"]
    each = [{**first, "apiGroups": [group], "resources": [resource]} for group, resource, _ in rules]
    policy["spec"]["matchConstraints"]["resourceRules"] = [*each, *rest]
    return policy, binding


TLS = ("networking.k8s.io", "ingresses", "has(object.spec.tls)")
NO_HTTP = ("", "services", "object.spec.type != 'LoadBalancer' || object.spec.ports.all(one, one.port != 80)")
NO_BALANCERS = named("v1", "ResourceQuota", "none", spec={"hard": {"services.loadbalancers": "0"}})
_ENCRYPTION = [
    defect(ENCRYPTION, "nobody asks for TLS", PLAIN, subject=HERE, observed="admitted"),
    defect(ENCRYPTION, "of Ingresses only", PLAIN, *over(TLS), subject=HERE, observed="admitted", arrange=in_force()),
    near_miss(ENCRYPTION, "of both", PLAIN, *over(TLS, NO_HTTP), subject=HERE, arrange=in_force()),
    near_miss(
        ENCRYPTION,
        "no LoadBalancer is admitted at all",
        PLAIN,
        NO_BALANCERS,
        *over(TLS),
        subject=HERE,
        verdict=Verdict.NOT_ASSESSED,
        arrange=in_force(),
    ),
]

CASES: list[Case] = [*_COMPLIANCE, *_VALIDATION, *_ENCRYPTION]
