"""The mutex: a Lease that one experiment at a time may hold, however many runs there are of this suite on a cluster."""

from __future__ import annotations

from datetime import UTC, datetime

from chaos.servers import Servers
from fixtures.api import Conflict, NotFound
from fixtures.limits import CHAOS_DEADLINE

NAME = "kubeworthy-chaos"
COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
PATH = f"{COLLECTION}/{NAME}"


class HeldError(Exception):
    """Another run holds the mutex, or left it behind; the message names it and says what to do."""


def acquire(servers: Servers, run: str) -> None:
    """Take the mutex for a run. Raises HeldError while any other run has it, even one that has died: that one has to be
    cleaned up first.

    Raises ApiError where the cluster does not let it be written.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {
        "holderIdentity": run,
        "leaseDurationSeconds": int(CHAOS_DEADLINE.value),
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": 0,
    }
    body = {"metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": "kubeworthy"}}, "spec": spec}
    try:
        servers.any(lambda api: api.create(COLLECTION, body))
    except Conflict:
        holder = held_by(servers)
        if holder == run:
            return  # stored by a server that went away before it answered
        raise HeldError(
            f"run {holder or 'unknown'} holds the mutex Lease kube-system/{NAME}: wait until it has ended, "
            "or clean up after it with `python -m chaos cleanup`"
        ) from None


def held_by(servers: Servers) -> str:
    """The run that holds the mutex, "" where none does. Raises ApiError."""
    try:
        lease = servers.any(lambda api: api.get(PATH))
    except NotFound:
        return ""
    return str(lease["spec"].get("holderIdentity") or "")


def release(servers: Servers, run: str) -> bool:
    """Give the mutex back; False where this run does not hold it. Raises ApiError."""
    try:
        lease = servers.any(lambda api: api.get(PATH))
        if lease["spec"].get("holderIdentity") != run:
            return False
        # Only this very Lease: another run may have taken the mutex meanwhile.
        options = {"preconditions": {"uid": lease["metadata"]["uid"]}}
        servers.any(lambda api: api.delete(PATH, options))
    except (NotFound, Conflict):
        return False
    return True
