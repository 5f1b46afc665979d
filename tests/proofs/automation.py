"""A small tenant automation: it completes the namespaces that ask for it, as a policy engine or a tenant operator does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from fixtures.api import Api, Conflict, Forbidden, NotFound

LABEL = "proof.example/completed"
_EVERY = 0.1
_RBAC = "rbac.authorization.k8s.io"
_OBJECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "quota": ("/api/v1/namespaces/{0}/resourcequotas", {"spec": {"hard": {"requests.cpu": "4"}}}),
    "limits": (
        "/api/v1/namespaces/{0}/limitranges",
        {"spec": {"limits": [{"type": "Container", "default": {"memory": "64Mi"}}]}},
    ),
    "deny": (
        "/apis/networking.k8s.io/v1/namespaces/{0}/networkpolicies",
        {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}},
    ),
    "team": (
        f"/apis/{_RBAC}/v1/namespaces/{{0}}/rolebindings",
        {
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": "team"}],
        },
    ),
}


def automation(*, without: Collection[str] = ()) -> Callable[[Api, str], Callable[[], None]]:
    """Complete each namespace that carries LABEL, until undone; `without` leaves some of it out. `arrange` for a case."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        stop = threading.Event()
        thread = threading.Thread(target=_run, args=(api, stop, frozenset(without)), daemon=True)
        thread.start()

        def undo() -> None:
            stop.set()
            thread.join()

        return undo

    return arrange


def _run(api: Api, stop: threading.Event, without: frozenset[str]) -> None:
    done: set[str] = set()
    while not stop.wait(_EVERY):
        for one in api.get("/api/v1/namespaces", {"labelSelector": LABEL})["items"]:
            if one["metadata"]["uid"] not in done and "deletionTimestamp" not in one["metadata"]:
                done.add(one["metadata"]["uid"])
                _complete(api, one["metadata"]["name"], without)


def _complete(api: Api, name: str, without: frozenset[str]) -> None:
    for part, (path, body) in _OBJECTS.items():
        if part not in without:
            try:
                api.create(path.format(name), {"metadata": {"name": part}, **body})
            except (Conflict, Forbidden, NotFound):
                return  # the namespace is going already
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    api.patch(f"/api/v1/namespaces/{name}", labels)
