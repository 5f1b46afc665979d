"""Whether clients go on when one API server or the leader of etcd dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

if TYPE_CHECKING:
    from chaos.conftest import Experiments
    from fixtures.policy import Policy

NEEDS = ("api", "processes")


@readiness("high-availability.etcd-leader-loss", severity="critical", ttl="30d", needs=NEEDS, consent="disruption")
def test_etcd_leader_loss(cluster: WholeCluster, findings: Findings, experiments: Experiments, policy: Policy) -> None:
    """Writes resume and no acknowledged write is lost when the etcd leader dies.

    Why: Everything that the cluster knows is in etcd. With three members one may die, but an election stops every write
        for a while, and a write that was acknowledged and then lost corrupts what controllers believe.
    How: The leader of etcd is killed with SIGKILL, and its process proved gone. ConfigMaps are written through every
        API server five times a second, each acknowledgement kept in a ledger; the window without writes is measured,
        and all entries are read back afterwards.
    Fix: Run three or five members on disks with a WAL fsync p99 below 10 ms; look at etcd's election timeout and at its
        log for slow writes.
    Does not prove: The loss of a majority, of a disk, or a power cut: the operating system's cache survives the kill of
        a process.
    """
    from chaos import judge

    outcomes = experiments.outcomes("etcd-leader-loss")
    judge.conclusive(outcomes, findings)
    judge.writes_survive(outcomes, findings, policy)


@readiness("high-availability.api-server-loss", severity="critical", ttl="30d", needs=NEEDS, consent="disruption")
def test_api_server_loss(cluster: WholeCluster, findings: Findings, experiments: Experiments, policy: Policy) -> None:
    """Clients read on and lose no watch event when an API server dies.

    Why: API servers are restarted with every upgrade and die with their machine. Several of them help only if clients
        that lose one go on at the next, and if a watch resumes there without a gap.
    How: One of the API servers is killed with SIGKILL, and its process proved gone. Every server is read each 100 ms on
        new connections, the killed one on a kept-alive connection too, and all of them by a client that tries the next
        server when one fails. A watch on the killed server resumes elsewhere; a numbered change each 250 ms shows
        whether an event is missing. Outages that begin only while the killed server starts again are told in the
        journal and not judged.
    Fix: Put a load balancer with health checks on /readyz in front of the API servers, or give clients every address;
        look for servers that share a machine or an etcd member.
    Does not prove: That your load balancer notices in time: the servers are asked directly. Nor a server that hangs
        instead of dying, nor how long controllers lag behind that were connected to the killed server only.
    """
    from chaos import judge

    outcomes = experiments.outcomes("api-server-loss")
    judge.conclusive(outcomes, findings)
    judge.clients_survive(outcomes, findings, policy)
