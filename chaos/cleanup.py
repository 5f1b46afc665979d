"""Undoes what killed runs left behind, from their undo journals; what other machines left is told, not touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chaos import mutex, restore
from chaos.servers import Servers
from chaos.stream import MissedError
from chaos.workloads import RUN_LABEL
from fixtures.api import ApiError
from fixtures.clusters.embedded.errors import EmbeddedClusterError
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.undo import Journal, UndoError


def clean(state: Path, say: Callable[[str], None]) -> bool:
    """Clean up one embedded cluster; True when nothing of any run is left. Can be run again at any time."""
    try:
        cluster = EmbeddedCluster.load(state)
        servers = Servers(cluster.kubeconfig, cluster.api_servers)
    except (EmbeddedClusterError, ApiError) as error:
        say(str(error))
        return False
    try:
        # The newest first: an experiment stands on the canary namespace that its session made before it.
        done = [_replay(path, cluster, servers, say) for path in reversed(Journal.pending(state))]
        if not done:
            say(f"{state.name}: no run has left anything to undo")
        return all(done) and _nothing_foreign(servers, state.name, say, under_way=not all(done))
    except ApiError as error:
        say(f"{state.name}: {error}")
        return False
    finally:
        servers.close()


def _replay(path: Path, cluster: EmbeddedCluster, servers: Servers, say: Callable[[str], None]) -> bool:
    try:
        journal = Journal.read(path)
        what = f"run {journal.run} ({journal.experiment})"
        if not journal.abandoned:
            say(f"{what} is under way in process {journal.runner.pid} and undoes its work itself: left alone")
            return False
        say(f"{what} was killed; undoing it")
        restore.keep(journal, cluster, servers, lambda line: say(f"  {line}"))
        journal.settle()
    except (UndoError, EmbeddedClusterError, ApiError, MissedError) as error:
        say(f"  not undone: {error}")
        return False
    say("  done")
    return True


def _nothing_foreign(servers: Servers, name: str, say: Callable[[str], None], *, under_way: bool) -> bool:
    if under_way:
        return True
    holder = mutex.held_by(servers)
    if holder:
        say(f"{name}: run {holder} holds the mutex Lease, and its journal is not here: if it has ended, delete it with")
        say(f"  kubectl delete lease --namespace kube-system {mutex.NAME}")
    left = servers.any(lambda api: api.get("/api/v1/namespaces", {"labelSelector": RUN_LABEL}))["items"]
    for namespace in left:
        say(
            f"{name}: no journal here names the canary namespace {namespace['metadata']['name']}; "
            "if its run has ended, delete it with"
        )
        say(f"  kubectl delete namespace {namespace['metadata']['name']}")
    return not holder and not left
