"""The offline evaluator gives the answers that the API server's own authorizer gives."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.api import Api
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.rbac import Access, Identity

Raw = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
ROOT = f"/apis/{GROUP}/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
DEADLINE = 60.0
SEED = 20240229
ROLES, BINDINGS, REQUESTS = 40, 60, 800

NAMESPACES = ("evaluated-a", "evaluated-b")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind", "impersonate", "*")
GROUPS = ("", "apps", "example.com", "*")
RESOURCES = (
    "pods",
    "pods/exec",
    "pods/status",
    "secrets",
    "deployments",
    "deployments/scale",
    "*/scale",
    "*/status",
    "*",
)
NAMES = ("a", "b", "web")
PATHS = ("/metrics", "/debug/pprof", "/debug/*", "/logs/*", "/logs", "/stats*")
ACCOUNTS = ("one", "two", "default")
USERS = ("alice", "bob", "system:serviceaccount:evaluated-a:one")
TEAMS = ("ops", "system:authenticated", "system:serviceaccounts", "system:serviceaccounts:evaluated-b")


@dataclass(frozen=True)
class World:
    """What was created on the server, and the evaluator over all that is there."""

    access: Access
    api: Api


def some(rng: random.Random, values: tuple[str, ...], most: int = 3) -> list[str]:
    return rng.sample(values, rng.randint(1, min(most, len(values))))


def random_rule(rng: random.Random, *, cluster: bool) -> Raw:
    if cluster and rng.random() < 0.35:
        return {"verbs": some(rng, VERBS), "nonResourceURLs": some(rng, PATHS)}
    names = some(rng, NAMES, 2) if rng.random() < 0.3 else []
    return {
        "verbs": some(rng, VERBS),
        "apiGroups": some(rng, GROUPS, 2),
        "resources": some(rng, RESOURCES),
        "resourceNames": names,
    }


def random_role(rng: random.Random, number: int) -> Raw:
    cluster = rng.random() < 0.6
    rules = [random_rule(rng, cluster=cluster) for _ in range(rng.randint(0, 3))]
    kind, namespace = ("ClusterRole", "") if cluster else ("Role", rng.choice(NAMESPACES))
    raw: Raw = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": f"evaluated-{number}", "labels": {}}}
    if cluster and rng.random() < 0.3:
        raw["metadata"]["labels"] = {"evaluated": rng.choice("xy")}
    elif cluster and rng.random() < 0.3:
        raw["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {"evaluated": rng.choice("xy")}}]}
        rules = []
    if namespace:
        raw["metadata"]["namespace"] = namespace
    return {**raw, "rules": rules}


def random_subject(rng: random.Random) -> Raw:
    kind = rng.choice(("ServiceAccount", "User", "Group"))
    if kind == "ServiceAccount":
        return {"kind": kind, "name": rng.choice(ACCOUNTS), "namespace": rng.choice(NAMESPACES)}
    return {"kind": kind, "apiGroup": GROUP, "name": rng.choice(USERS if kind == "User" else TEAMS)}


def random_binding(rng: random.Random, number: int, roles: list[Raw]) -> Raw:
    role = rng.choice(roles)
    name = "missing" if rng.random() < 0.05 else role["metadata"]["name"]
    raw: Raw = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"evaluated-{number}"},
        "roleRef": {"apiGroup": GROUP, "kind": role["kind"], "name": name},
        "subjects": [random_subject(rng) for _ in range(rng.randint(0, 3))],
    }
    if role["kind"] == "Role" or rng.random() < 0.5:
        raw["kind"] = "RoleBinding"
        raw["metadata"]["namespace"] = role["metadata"].get("namespace") or rng.choice(NAMESPACES)
    return raw


def collection(raw: Raw) -> str:
    plural = f"{raw['kind'].lower()}s"
    namespace = raw["metadata"].get("namespace")
    return f"{ROOT}/namespaces/{namespace}/{plural}" if namespace else f"{ROOT}/{plural}"


def everything(api: Api) -> Access:
    found = {
        kind: [{**raw, "kind": kind} for raw in api.get(f"{ROOT}/{kind.lower()}s")["items"]]
        for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    }
    return Access([*found["Role"], *found["ClusterRole"]], [*found["RoleBinding"], *found["ClusterRoleBinding"]])


@pytest.fixture(scope="module")
def world(embedded: EmbeddedCluster) -> Iterator[World]:
    api = Api.connect(embedded.kubeconfig)
    rng = random.Random(SEED)
    roles = [random_role(rng, number) for number in range(ROLES)]
    bindings = [random_binding(rng, number, roles) for number in range(BINDINGS)]
    objects = [*roles, *bindings, *last_ones()]
    for namespace in NAMESPACES:
        api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for raw in objects:
        api.create(collection(raw), raw)
    wait_until(
        lambda: answer(api, Identity("last"), {"verb": "get", "path": "/last"}), "the authorizer saw the last binding"
    )
    wait_until(lambda: all(is_aggregated(api, raw) for raw in roles), "the controller aggregated all rules")
    yield World(everything(api), api)
    for raw in objects:
        api.delete(f"{collection(raw)}/{raw['metadata']['name']}")


def last_ones() -> list[Raw]:
    """A right that is created after all others: who sees it has seen them."""
    role = {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "metadata": {"name": "evaluated-last"}}
    binding = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "evaluated-last"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "evaluated-last"},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "last"}],
    }
    return [{**role, "rules": [{"verbs": ["get"], "nonResourceURLs": ["/last"]}]}, binding]


def is_aggregated(api: Api, role: Raw) -> bool:
    if "aggregationRule" not in role:
        return True
    wanted = role["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"]["evaluated"]
    parts = api.get(f"{ROOT}/clusterroles", {"labelSelector": f"evaluated={wanted}"})["items"]
    held = api.get(f"{collection(role)}/{role['metadata']['name']}").get("rules") or []
    return all(rule in held for part in parts for rule in part.get("rules") or ())


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE} s"
        time.sleep(0.1)


def random_identity(rng: random.Random) -> Identity:
    if rng.random() < 0.5:
        return Identity.of_account(rng.choice(NAMESPACES), rng.choice(ACCOUNTS))
    return Identity(rng.choice(USERS[:2]), tuple(rng.sample(TEAMS[:2], rng.randint(0, 2))))


def random_request(rng: random.Random) -> Raw:
    if rng.random() < 0.35:
        path = rng.choice(
            ("/metrics", "/debug", "/debug/pprof", "/debug/pprof/heap", "/logs", "/logs/kubelet", "/stats/summary")
        )
        return {"verb": rng.choice(("get", "list", "patch")), "path": path}
    resource = rng.choice(
        ("pods", "pods/exec", "pods/status", "secrets", "deployments", "deployments/scale", "widgets/status")
    )
    return {
        "verb": rng.choice(VERBS[:-1]),
        "group": rng.choice(("", "apps", "example.com")),
        "resource": resource,
        "namespace": rng.choice((*NAMESPACES, "", "kube-system")),
        "name": rng.choice(("", *NAMES, "other")),
    }


def answer(api: Api, identity: Identity, request: Raw) -> bool:
    """What the server's authorizers say."""
    if "path" in request:
        spec: Raw = {"nonResourceAttributes": request}
    else:
        resource, _, sub = request["resource"].partition("/")
        spec = {"resourceAttributes": {**request, "resource": resource, "subresource": sub}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    subject = {"user": identity.user, "groups": list(identity.groups)}
    return bool(api.create(REVIEWS, {**review, "spec": {**spec, **subject}})["status"].get("allowed"))


def evaluate(access: Access, identity: Identity, request: Raw) -> bool:
    if "path" in request:
        return access.allowed_url(identity, request["verb"], request["path"])
    return access.allowed(
        identity,
        request["verb"],
        request["resource"],
        request["group"],
        namespace=request["namespace"],
        name=request["name"],
    )


def test_the_evaluator_agrees_with_the_server(world: World) -> None:
    rng = random.Random(SEED + 1)
    asked = [(random_identity(rng), random_request(rng)) for _ in range(REQUESTS)]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: answer(world.api, *one), asked))
    evaluated = [evaluate(world.access, *one) for one in asked]

    differing = [(*one, said) for one, said, ours in zip(asked, answers, evaluated, strict=True) if said != ours]
    assert not differing
    assert REQUESTS // 10 < sum(answers) < REQUESTS * 9 // 10, (
        "both answers have to be common for the comparison to mean anything"
    )


def test_an_aggregated_role_is_expanded_before_the_controller_has_copied_its_rules() -> None:
    """A manifest that nobody applied yet has the selectors only."""
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    selector = {"clusterRoleSelectors": [{"matchLabels": {"to": "whole"}}]}
    part = {"kind": "ClusterRole", "metadata": {"name": "part", "labels": {"to": "whole"}}, "rules": rules}
    whole = {"kind": "ClusterRole", "metadata": {"name": "whole"}, "aggregationRule": selector}
    bound = {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "whole"},
        "roleRef": {"kind": "ClusterRole", "name": "whole"},
        "subjects": [{"kind": "User", "name": "eve"}],
    }

    access = Access([part, whole], [bound])

    assert access.allowed(Identity("eve"), "get", "pods")
    assert not access.allowed(Identity("eve"), "list", "pods")


def test_roles_that_aggregate_each_other_end() -> None:
    selector = {"clusterRoleSelectors": [{"matchLabels": {"ring": "yes"}}]}
    ring = [
        {
            "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {"ring": "yes"}},
            "aggregationRule": selector,
            "rules": [],
        }
        for name in ("a", "b")
    ]

    assert Access(ring, []).rules_of("ClusterRole", "", "a") == ()
