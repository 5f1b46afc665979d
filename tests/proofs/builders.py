"""Small good objects to plant defects in. Each builder returns a fresh object; keyword arguments merge into it deeply."""

from __future__ import annotations

import copy
from typing import Any

Raw = dict[str, Any]

GOOD_CONTAINER: Raw = {
    "name": "main",
    "image": "registry.example/shop/web:1.4.2",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
    "resources": {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "300m", "memory": "256Mi"},
    },
}
GOOD_POD_SECURITY: Raw = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def merge(base: Raw, more: Raw) -> Raw:
    """A copy of `base` with `more` merged in: mappings deeply, anything else replaced; a value of None removes the key."""
    merged = copy.deepcopy(base)
    for key, value in more.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def container(**more: Any) -> Raw:
    """A hardened container, with `more` merged in."""
    return merge(GOOD_CONTAINER, more)


def pod_spec(*containers: Raw, **more: Any) -> Raw:
    """A hardened pod spec of the given containers (one good one by default)."""
    base: Raw = {
        "automountServiceAccountToken": False,
        "securityContext": GOOD_POD_SECURITY,
        "containers": list(containers or (container(),)),
    }
    return merge(base, more)


def named(api_version: str, kind: str, name: str, **more: Any) -> Raw:
    """Any object: its version, kind and name, with `more` merged in."""
    return merge({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}, more)


def deployment(name: str = "web", *containers: Raw, replicas: int = 2, pod: Raw | None = None, **spec: Any) -> Raw:
    """A Deployment whose pods carry the label app=<name>; `pod` merges into the pod spec, keywords into the spec."""
    return _controller("Deployment", name, pod_spec(*containers, **(pod or {})), {"replicas": replicas, **spec})


def stateful_set(name: str = "db", *containers: Raw, replicas: int = 2, pod: Raw | None = None, **spec: Any) -> Raw:
    """A StatefulSet, governed by the Service of its own name."""
    more = {"replicas": replicas, "serviceName": name, **spec}
    return _controller("StatefulSet", name, pod_spec(*containers, **(pod or {})), more)


def daemon_set(name: str = "agent", *containers: Raw, pod: Raw | None = None, **spec: Any) -> Raw:
    """A DaemonSet."""
    return _controller("DaemonSet", name, pod_spec(*containers, **(pod or {})), spec)


def _controller(kind: str, name: str, spec: Raw, more: Raw) -> Raw:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return merge(
        named("apps/v1", kind, name, metadata={"labels": labels}),
        {"spec": merge({"selector": {"matchLabels": labels}, "template": template}, more)},
    )


def cron_job(
    name: str = "report", *containers: Raw, pod: Raw | None = None, job: Raw | None = None, **spec: Any
) -> Raw:
    """A CronJob that never comes due during a test (29 February)."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": pod_spec(*containers, restartPolicy="Never", **(pod or {})),
    }
    base = {"schedule": "0 0 29 2 *", "jobTemplate": {"spec": merge({"template": template}, job or {})}}
    return named("batch/v1", "CronJob", name, spec=merge(base, spec))


def bare_pod(name: str = "lone", *containers: Raw, **spec: Any) -> Raw:
    """A Pod without an owner, with the label app=<name>."""
    return named("v1", "Pod", name, metadata={"labels": {"app": name}}, spec=pod_spec(*containers, **spec))


def service(name: str = "web", selects: str | None = None, **spec: Any) -> Raw:
    """A ClusterIP Service on port 80 that selects app=<selects> (default: its own name)."""
    base = {"selector": {"app": selects or name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return named("v1", "Service", name, spec=merge(base, spec))


def service_account(name: str, **more: Any) -> Raw:
    """A ServiceAccount."""
    return named("v1", "ServiceAccount", name, **more)


def role(name: str, *rules: Raw, cluster: bool = False) -> Raw:
    """A Role, or a ClusterRole, of the given rules (see `rule`)."""
    return named("rbac.authorization.k8s.io/v1", "ClusterRole" if cluster else "Role", name, rules=list(rules))


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Raw:
    """One RBAC rule from comma-separated verbs and resources."""
    return {"apiGroups": group.split(","), "resources": resources.split(","), "verbs": verbs.split(","), **more}


def binding(name: str, role_name: str, subject: Raw, *, cluster: bool = False, role_kind: str = "") -> Raw:
    """A RoleBinding, or a ClusterRoleBinding, of one subject (see `account`)."""
    kind = "ClusterRoleBinding" if cluster else "RoleBinding"
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role_kind or ("ClusterRole" if cluster else "Role"),
        "name": role_name,
    }
    return named("rbac.authorization.k8s.io/v1", kind, name, roleRef=reference, subjects=[subject])


def account(name: str, namespace: str = "{ns}") -> Raw:
    """A ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def network_policy(name: str, **spec: Any) -> Raw:
    """A NetworkPolicy for all pods of its namespace unless `podSelector` says otherwise."""
    return named("networking.k8s.io/v1", "NetworkPolicy", name, spec={"podSelector": {}, **spec})


def disruption_budget(name: str, selects: str, **spec: Any) -> Raw:
    """A PodDisruptionBudget over app=<selects>."""
    selector = {"selector": {"matchLabels": {"app": selects}}}
    return named("policy/v1", "PodDisruptionBudget", name, spec=merge(selector, spec))


def idle(raw: Raw) -> Raw:
    """A controller that makes no pod, for cases that its template decides: the controllers have few requests a second."""
    if raw["kind"] == "DaemonSet":
        return merge(raw, {"spec": {"template": {"spec": {"nodeSelector": {"proof.example/node": "none"}}}}})
    return merge(raw, {"spec": {"replicas": 0}})
