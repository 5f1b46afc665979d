"""Planted defects and near misses of what a policy engine, or the API server itself, refuses of pods and objects."""

from __future__ import annotations

from typing import Any

from reports.words import Verdict
from tests.proofs.builders import bare_pod, deployment, named
from tests.proofs.case import Case, defect, near_miss
from tests.proofs.cases_admission import NO_PODS
from tests.proofs.enforcing import admission_policy, in_force

Raw = dict[str, Any]
LIMITS = "policy-engine.resource-limits-policy"
LABELS = "policy-engine.required-labels-policy"
REGISTRIES = "policy-engine.allowed-registries-policy"
IMAGES = "image-security.admission-blocking"
HERE = "Namespace {ns}"
WEB = deployment("web", replicas=0)


def limit_range(**limit: Any) -> Raw:
    return named("v1", "LimitRange", "defaults", spec={"limits": [{"type": "Container", **limit}]})


_LIMITED = "has(one.resources) && has(one.resources.limits) && 'memory' in one.resources.limits && 'cpu' in one.resources.limits"
_QUOTA = named("v1", "ResourceQuota", "all", spec={"hard": {"limits.memory": "1Gi", "limits.cpu": "4"}})
_RESOURCES = [
    defect(LIMITS, "nobody asks for limits", WEB, subject=HERE, observed="admitted"),
    defect(LIMITS, "a LimitRange with requests only", WEB, limit_range(defaultRequest={"cpu": "1m"}), subject=HERE),
    defect(LIMITS, "a LimitRange for memory only", WEB, limit_range(default={"memory": "64Mi"}), subject=HERE),
    defect(
        LIMITS,
        "a policy that forgets init containers",
        WEB,
        *admission_policy(f"object.spec.containers.all(one, {_LIMITED})"),
        subject=HERE,
        observed="admitted",
        arrange=in_force(),
    ),
    near_miss(
        LIMITS,
        "a LimitRange fills limits in",
        WEB,
        limit_range(default={"memory": "64Mi", "cpu": "100m"}),
        subject=HERE,
    ),
    near_miss(LIMITS, "a quota over limits refuses what has none", WEB, _QUOTA, subject=HERE),
    near_miss(
        LIMITS,
        "no cpu limits are wanted",
        WEB,
        limit_range(default={"memory": "64Mi"}),
        subject=HERE,
        policy={"subjects": {"cpu_limits": False}},
    ),
    near_miss(LIMITS, "a quota refuses every pod", WEB, NO_PODS, subject=HERE, verdict=Verdict.NOT_ASSESSED),
]

_TEAM = {"subjects": {"required_labels": {"deployments": {"team": "shop"}, "pods": {"team": "shop", "app": "web"}}}}
_PLACES = {"subjects": {"required_labels": {"namespaces": {"owner": "shop"}}}}


def wants(*labels: str, resource: str = "pods", group: str = "", **more: Any) -> tuple[Raw, Raw]:
    held = " && ".join(f"'{label}' in object.metadata.?labels.orValue({{}})" for label in labels)
    return admission_policy(held, resource=resource, group=group, **more)


_LABELS = [
    defect(LABELS, "nobody asks for labels", WEB, observed="admitted", policy=_TEAM),
    defect(
        LABELS,
        "pods may lack one of two, Deployments any",
        WEB,
        *wants("team"),
        observed="pods in Namespace proof-",
        policy=_TEAM,
        arrange=in_force(),
    ),
    near_miss(
        LABELS,
        "both are wanted of pods",
        WEB,
        *wants("team", "app"),
        policy={"subjects": {"required_labels": {"pods": {"team": "shop", "app": "web"}}}},
        arrange=in_force(),
    ),
    near_miss(
        LABELS, "none are required", WEB, policy={"subjects": {"required_labels": {}}}, verdict=Verdict.NOT_APPLICABLE
    ),
    near_miss(LABELS, "nobody said which", WEB, verdict=Verdict.NOT_ASSESSED),
    near_miss(
        LABELS,
        "a value that the policy does not accept proves nothing",
        WEB,
        *admission_policy("object.metadata.?labels[?'team'].orValue('') == 'payments'"),
        policy={"subjects": {"required_labels": {"pods": {"team": "shop"}}}},
        verdict=Verdict.NOT_ASSESSED,
        arrange=in_force(),
    ),
    defect(LABELS, "namespaces without an owner", WEB, observed="namespaces: admitted", policy=_PLACES),
    near_miss(
        LABELS,
        "namespaces need an owner",
        WEB,
        *wants("owner", resource="namespaces", everywhere=True),
        policy=_PLACES,
        arrange=in_force(),
        alone=True,
    ),
]

_ALLOWED = {"subjects": {"allowed_registries": ["registry.example/shop"]}}


def ephemeral(*lists: str, never: str = "") -> tuple[Raw, Raw]:
    """A policy over pods and their ephemeral containers; `never` is a list that has to be empty."""
    held = [f"object.spec.?{one}.orValue([]).all(one, one.image.startsWith('registry.example/shop/'))" for one in lists]
    policy, binding = admission_policy(*held, *([f"object.spec.?{never}.orValue([]).size() == 0"] if never else []))
    policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"] = ["pods", "pods/ephemeralcontainers"]
    return policy, binding


_ALL = ("containers", "initContainers", "ephemeralContainers")
_POD = bare_pod("lone")
_REGISTRIES = [
    defect(REGISTRIES, "any registry will do", WEB, subject=HERE, observed="admitted", policy=_ALLOWED),
    defect(
        REGISTRIES,
        "a prefix without a slash at its end",
        WEB,
        *admission_policy(
            *(f"object.spec.?{one}.orValue([]).all(one, one.image.startsWith('registry.example/shop'))" for one in _ALL)
        ),
        subject=HERE,
        observed="admitted",
        policy=_ALLOWED,
        arrange=in_force(),
    ),
    defect(
        REGISTRIES,
        "init containers are forgotten",
        WEB,
        *ephemeral("containers", "ephemeralContainers"),
        subject=HERE,
        policy=_ALLOWED,
        arrange=in_force(),
    ),
    defect(
        REGISTRIES,
        "ephemeral containers are forgotten",
        _POD,
        *ephemeral("containers", "initContainers"),
        subject=HERE,
        policy=_ALLOWED,
        pods=True,
        arrange=in_force(),
    ),
    near_miss(
        REGISTRIES,
        "all three lists, with a slash",
        _POD,
        *ephemeral(*_ALL),
        subject=HERE,
        policy=_ALLOWED,
        pods=True,
        arrange=in_force(),
    ),
    near_miss(
        REGISTRIES,
        "ephemeral containers are refused altogether, so that a refusal proves nothing",
        _POD,
        *ephemeral("containers", "initContainers", never="ephemeralContainers"),
        subject=HERE,
        policy=_ALLOWED,
        pods=True,
        arrange=in_force(),
        verdict=Verdict.NOT_ASSESSED,
    ),
    near_miss(REGISTRIES, "no list is declared", WEB, subject=HERE, verdict=Verdict.NOT_ASSESSED),
    near_miss(
        REGISTRIES,
        "a quota refuses every pod",
        WEB,
        NO_PODS,
        subject=HERE,
        policy=_ALLOWED,
        verdict=Verdict.NOT_ASSESSED,
    ),
]

_CANARIES = {
    "subjects": {
        "canary_images": {
            "signed": "registry.example/canary/signed:1",
            "unsigned": "registry.example/canary/unsigned:1",
            "vulnerable": "registry.example/canary/vulnerable:1",
        }
    }
}
_TWO = {
    "subjects": {
        "canary_images": {"signed": "registry.example/canary/signed:1", "unsigned": "registry.example/other:1"}
    }
}


def refuses(*words: str) -> tuple[Raw, Raw]:
    return admission_policy(*(f"object.spec.containers.all(one, !one.image.contains('{word}'))" for word in words))


_IMAGES = [
    defect(IMAGES, "nobody looks", WEB, subject=HERE, observed="admitted", policy=_CANARIES),
    defect(
        IMAGES,
        "signatures are looked at and scans are not",
        WEB,
        *refuses("unsigned"),
        subject=HERE,
        observed="admitted",
        policy=_CANARIES,
        arrange=in_force(),
    ),
    near_miss(
        IMAGES,
        "both are refused",
        WEB,
        *refuses("unsigned", "vulnerable"),
        subject=HERE,
        policy=_CANARIES,
        arrange=in_force(),
    ),
    near_miss(IMAGES, "no canaries are declared", WEB, subject=HERE, verdict=Verdict.NOT_ASSESSED),
    near_miss(
        IMAGES,
        "the signed one is refused as well",
        WEB,
        *refuses("signed"),
        subject=HERE,
        policy=_CANARIES,
        verdict=Verdict.NOT_ASSESSED,
        arrange=in_force(),
    ),
    near_miss(
        IMAGES,
        "no vulnerable one is declared",
        WEB,
        *refuses("other"),
        subject=HERE,
        policy=_TWO,
        verdict=Verdict.NOT_ASSESSED,
        arrange=in_force(),
    ),
]

OVERSIZED = "workloads.oversized-pods-refused"


def quota(**spec: Any) -> Raw:
    return named("v1", "ResourceQuota", "share", spec=spec)


_BOTH = {"requests.cpu": "4", "requests.memory": "4Gi"}
_OVERSIZED = [
    defect(OVERSIZED, "no bound", WEB, subject=HERE, observed="admitted"),
    defect(
        OVERSIZED, "a quota over cpu only", WEB, quota(hard={"requests.cpu": "4"}), subject=HERE, observed="admitted"
    ),
    defect(
        OVERSIZED,
        "a quota whose scope ordinary pods are not in",
        WEB,
        quota(hard=_BOTH, scopes=["Terminating"]),
        subject=HERE,
        observed="admitted",
    ),
    near_miss(OVERSIZED, "a quota over both", WEB, quota(hard=_BOTH), subject=HERE),
    near_miss(OVERSIZED, "a LimitRange with a max", WEB, limit_range(max={"cpu": "8", "memory": "8Gi"}), subject=HERE),
    near_miss(OVERSIZED, "a quota refuses every pod", WEB, NO_PODS, subject=HERE, verdict=Verdict.NOT_ASSESSED),
]

CASES: list[Case] = [*_OVERSIZED, *_RESOURCES, *_LABELS, *_REGISTRIES, *_IMAGES]
