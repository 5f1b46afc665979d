"""The canaries that controllers and the scheduler are asked to work on: a namespace of the run, a Deployment, Pods.

They obey the restricted Pod Security Standard and ask for next to nothing. Their image is never meant to be pulled: on
simulated nodes nothing runs, and the control plane's own work (an object written, a node chosen) is all that is looked
at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chaos.servers import Servers
from chaos.stream import Event, Stream
from fixtures.api import Api, Conflict, NotFound
from fixtures.limits import CHAOS_STEADY_DEADLINE, CHAOS_UNDO_DEADLINE

RUN_LABEL = "kubeworthy/run"
IMAGE = "canary.invalid/pause:1"
DEPLOYMENT = "reconciled"
OWNERS_FIRST = ("deployments", "replicasets", "pods", "configmaps")
"""What a run makes, in an order in which nothing is made anew."""
_ROLE = "kubeworthy/canary"


@dataclass(frozen=True, slots=True)
class Answered:
    """A canary that was answered: when it was asked and when the answer was seen, in monotonic seconds."""

    asked: float
    seen: float

    @property
    def seconds(self) -> float:
        """From the request to the sight of the answer."""
        return self.seen - self.asked


class Canaries:
    """The canaries of one run, in the canary namespace that it shares with the other runs of a session."""

    def __init__(self, servers: Servers, namespace: str, run: str) -> None:
        self._servers, self._run = servers, run
        self.namespace = namespace
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self._deployment = f"{DEPLOYMENT}-{run}"
        self.stream = Stream(servers.apis(), self._pods, {"labelSelector": f"{RUN_LABEL}={run}"})
        self._replicas = self._bound = 0

    def create(self) -> None:
        """Create the Deployment, without replicas, and watch the Pods. Raises ApiError."""
        self._servers.any(lambda api: _once(api, self._deployments, _deployment(self._deployment, self._run)))
        self.stream.start()

    def scale(self) -> float:
        """Ask kube-controller-manager for one more replica; answers when that was sent. Raises ApiError."""
        self._replicas += 1
        body = {"spec": {"replicas": self._replicas}}
        sent = time.monotonic()
        self._servers.any(lambda api: api.patch(f"{self._deployments}/{self._deployment}", body))
        return sent

    def reconciled(self, asked: float, deadline: float) -> Answered:
        """Wait for the Pod of the replica last asked for. Raises MissedError at `deadline` (monotonic seconds)."""
        wanted = self._replicas

        def enough(events: Sequence[Event]) -> float | None:
            made: dict[str, float] = {}
            for event in events:
                if event.object["metadata"].get("labels", {}).get(_ROLE) == DEPLOYMENT:
                    made.setdefault(event.name, event.at)
            return sorted(made.values())[wanted - 1] if len(made) >= wanted else None

        return Answered(asked, self.stream.until(enough, deadline, f"replica {wanted} of the canary Deployment"))

    def pod(self) -> tuple[str, float]:
        """Ask kube-scheduler for a node: create a Pod; answers its name and when that was sent. Raises ApiError."""
        self._bound += 1
        name = f"scheduled-{self._run}-{self._bound}"
        sent = time.monotonic()
        self._servers.any(lambda api: _once(api, self._pods, _pod(name, self._run)))
        return name, sent

    def scheduled(self, name: str, asked: float, deadline: float) -> Answered:
        """Wait until the Pod has a node. Raises MissedError at `deadline` (monotonic seconds)."""

        def bound(events: Sequence[Event]) -> float | None:
            return next(
                (event.at for event in events if event.name == name and event.object["spec"].get("nodeName")), None
            )

        return Answered(asked, self.stream.until(bound, deadline, f"a node for the canary Pod {name}"))

    def placed(self) -> dict[str, str]:
        """The node of every canary Pod that has one, by the Pod's uid. Raises ApiError."""
        mine = {"labelSelector": f"{RUN_LABEL}={self._run}"}
        pods = self._servers.any(lambda api: api.get(self._pods, mine))["items"]
        return {pod["metadata"]["uid"]: pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}


def namespace_of(session: str) -> str:
    """The name of a session's canary namespace."""
    return f"kubeworthy-canary-{session}"


def create_namespace(servers: Servers, namespace: str, session: str) -> None:
    """Create a canary namespace and wait for its service account, without which no Pod is admitted. Raises ApiError,
    MissedError.
    """
    labels = {
        RUN_LABEL: session,
        "app.kubernetes.io/managed-by": "kubeworthy",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    body = {"metadata": {"name": namespace, "labels": labels}}
    servers.any(lambda api: _once(api, "/api/v1/namespaces", body))
    accounts = Stream(servers.apis(), f"/api/v1/namespaces/{namespace}/serviceaccounts")
    accounts.start()
    deadline = time.monotonic() + CHAOS_STEADY_DEADLINE.value
    try:
        accounts.until(
            lambda events: bool(events) or None, deadline, "the service account that kube-controller-manager makes"
        )
    finally:
        accounts.stop()


def clear(servers: Servers, namespace: str, run: str) -> None:
    """Delete the canaries of one run; the namespace stays. Nothing to delete is no error. Raises ApiError."""
    mine = {"labelSelector": f"{RUN_LABEL}={run}"}
    for collection in OWNERS_FIRST:
        group = "/apis/apps/v1" if collection in ("deployments", "replicasets") else "/api/v1"
        _delete_all(servers, f"{group}/namespaces/{namespace}/{collection}", mine)


def _delete_all(servers: Servers, path: str, query: dict[str, str]) -> None:
    options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
    servers.any(lambda api: api.delete(path, options, query))


def remove(servers: Servers, namespace: str) -> bool:
    """Remove a canary namespace and wait until it is gone; False when there is none. Raises ApiError, MissedError.

    kube-controller-manager waits 5 s before it empties a namespace, so a session makes one and not one for each
    experiment.
    """
    path = f"/api/v1/namespaces/{namespace}"
    try:
        servers.any(lambda api: api.delete(path))
    except NotFound:
        return False
    except Conflict:
        pass  # it is being removed already
    # Simulated pods end at once, but only when they are told not to wait for their grace period.
    options = {"gracePeriodSeconds": 0}
    deadline = time.monotonic() + CHAOS_UNDO_DEADLINE.value
    names = Stream(servers.apis(), "/api/v1/namespaces", {"fieldSelector": f"metadata.name={namespace}"})
    servers.any(lambda api: api.delete(f"{path}/pods", options))
    names.start()
    if names.events:
        names.until(lambda events: events[-1].type == "DELETED" or None, deadline, f"the end of namespace {namespace}")
    names.stop()
    return True


def _once(api: Api, path: str, body: dict[str, Any]) -> None:
    try:
        api.create(path, body)
    except Conflict:
        # The server before this one stored it and went away before it answered.
        return


def _spec() -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "pause",
                "image": IMAGE,
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "10m", "memory": "10Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


def _pod(name: str, run: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {RUN_LABEL: run, _ROLE: "scheduled"}}, "spec": _spec()}


def _deployment(name: str, run: str) -> dict[str, Any]:
    labels = {RUN_LABEL: run, _ROLE: DEPLOYMENT}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _spec()},
        },
    }
