"""The undo: members restarted, canaries removed, the mutex released. An experiment, its end and `cleanup` all go this
one way.
"""

from __future__ import annotations

from collections.abc import Callable

from chaos import mutex, workloads
from chaos.faults import dead
from chaos.servers import Servers
from fixtures.clusters.embedded.errors import EmbeddedClusterError
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.limits import CHAOS_UNDO_DEADLINE
from fixtures.undo import Journal, Promise

ORDER = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")
"""The order in which members are restarted: each needs those before it."""


def members(journal: Journal, cluster: EmbeddedCluster) -> list[str]:
    """Restart every member whose process has ended, the killed ones and those that fell with them, and wait until each
    is healthy.

    Nothing is restarted for a journal that promised no restart: what was down before is not this run's. Answers which
    were restarted. Raises what `EmbeddedCluster.restart` raises.
    """
    if not any(promise.undo == "restart" for promise in journal.promises()):
        return []
    restarted: list[str] = []
    # A component that cannot renew its Lease exits after the renew deadline, so one may still fall while another starts.
    while down := sorted(dead(cluster), key=lambda member: ORDER.index(member.component)):
        for member in down:
            if len(restarted) >= len(cluster.members):
                raise EmbeddedClusterError(f"{member} ends again and again; its log: {member.log}")
            cluster.restart(member.component, member.index, CHAOS_UNDO_DEADLINE.value)
            restarted.append(str(member))
    return restarted


def keep(
    journal: Journal, cluster: EmbeddedCluster, servers: Servers, say: Callable[[str], None] = lambda _: None
) -> None:
    """Keep every promise of a journal, whether or not it was kept before. `say` is told of each thing that had to be
    done.

    Members come first, since the rest needs an API server. Raises what the single undo raises.
    """
    for name in members(journal, cluster):
        say(f"restarted {name}")
    for promise in journal.promises():
        done = _keep(promise, servers)
        if done:
            say(done)


def _keep(promise: Promise, servers: Servers) -> str:
    if promise.undo == "clear":
        workloads.clear(servers, promise.namespace, promise.name)
    if promise.undo == "remove" and workloads.remove(servers, promise.name):
        return f"removed the namespace {promise.name}"
    if promise.undo == "release" and mutex.release(servers, promise.name):
        return f"released the mutex Lease of run {promise.name}"
    return ""
