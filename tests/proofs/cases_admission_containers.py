"""Planted defects and near misses of the rules for containers that admission enforces, tried out on a real API server."""

from __future__ import annotations

from reports.words import Verdict
from tests.proofs.builders import deployment
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.cases_admission import NO_PODS, level, only_warns
from tests.proofs.enforcing import admission_policy, in_force

NON_ROOT = "pod-security.non-root-enforced"
READ_ONLY = "pod-security.read-only-root-enforced"
NO_ESCALATION = "pod-security.no-escalation-enforced"
HERE = "Namespace {ns}"
WEB = deployment("web", replicas=0)

_EACH = "object.spec.containers.all(one, {0}) && object.spec.?initContainers.orValue([]).all(one, {0})"
_READ_ONLY = "one.?securityContext.?readOnlyRootFilesystem.orValue(false)"
_BOUND = "one.?securityContext.?allowPrivilegeEscalation.orValue(true) == false"

CASES: list[Case] = [
    defect(
        NON_ROOT,
        "the baseline standard lets root run",
        WEB,
        subject=HERE,
        observed="admitted",
        arrange=level("baseline"),
    ),
    defect(NON_ROOT, "a level that only warns", WEB, subject=HERE, observed="admitted", arrange=only_warns),
    defect(
        NON_ROOT,
        "a policy that refuses user 0 and forgets the image's own user",
        WEB,
        *admission_policy("object.spec.?securityContext.?runAsUser.orValue(1) != 0"),
        subject=HERE,
        arrange=in_force(),
    ),
    near_miss(NON_ROOT, "enforces restricted", WEB, subject=HERE, arrange=level("restricted")),
    near_miss(
        NON_ROOT,
        "no level, but a policy of its own",
        WEB,
        *admission_policy("object.spec.?securityContext.?runAsNonRoot.orValue(false)"),
        subject=HERE,
        arrange=in_force(),
    ),
    near_miss(NON_ROOT, "a quota refuses every pod", WEB, NO_PODS, subject=HERE, verdict=Verdict.NOT_ASSESSED),
    defect(
        READ_ONLY, "restricted does not ask for it", WEB, subject=HERE, observed="admitted", arrange=level("restricted")
    ),
    defect(
        READ_ONLY,
        "a policy that forgets init containers",
        WEB,
        *admission_policy(f"object.spec.containers.all(one, {_READ_ONLY})"),
        subject=HERE,
        observed="admitted",
        arrange=in_force(),
    ),
    defect(
        READ_ONLY,
        "a policy that only audits",
        WEB,
        *admission_policy(_EACH.format(_READ_ONLY), actions=("Audit", "Warn")),
        subject=HERE,
        observed="admitted",
    ),
    near_miss(
        READ_ONLY,
        "a policy for containers of both sorts",
        WEB,
        *admission_policy(_EACH.format(_READ_ONLY)),
        subject=HERE,
        arrange=in_force(),
    ),
    defect(NO_ESCALATION, "the baseline standard allows it", WEB, subject=HERE, arrange=level("baseline")),
    near_miss(NO_ESCALATION, "enforces restricted", WEB, subject=HERE, arrange=level("restricted")),
    near_miss(
        NO_ESCALATION,
        "a policy of its own",
        WEB,
        *admission_policy(_EACH.format(_BOUND)),
        subject=HERE,
        arrange=in_force(),
    ),
]
