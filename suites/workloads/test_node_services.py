"""Services that every node needs."""

from __future__ import annotations

import posixpath

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, WholeCluster, Workload, all_replicated
from fixtures.subjects.assessed import REPLICATED_READS, chosen, place

AGENT_PATHS = ("/var/log", "/proc", "/sys", "/run/containerd")
"""Parts of a node's filesystem that are of use only to a program that looks after the node itself."""

HOSTNAME = "kubernetes.io/hostname"


@readiness("workloads.node-services-as-daemonset", severity="medium", reads=("nodes",))
def test_node_services_are_daemon_sets(controller: Workload, findings: Findings, inventory: Reader) -> None:
    """Services needed on every node are DaemonSets, complete on all intended nodes.

    Why: an agent that is missing on one node leaves that node without logs, metrics or network, and nobody notices.
    How: each DaemonSet has a ready and updated pod on every node that it is meant for, and none elsewhere, by its own
    status. No Deployment, StatefulSet or Rollout mounts the node's /var/log, /proc, /sys or /run/containerd, or runs
    in the host's network with at least as many replicas as there are workers, one for each host: that is a node agent
    in disguise.
    Fix: free capacity or add tolerations for the missing pods; turn a disguised agent into a DaemonSet.
    Does not prove: that the agents work.
    """
    if controller.kind == "DaemonSet":
        expect_complete(controller, findings)
        return
    for volume in controller.pod_spec.get("volumes") or ():
        path = (volume.get("hostPath") or {}).get("path")
        if path:
            findings.expect(
                not _is_agents(str(path)),
                f"volume {volume['name']}",
                expected="a DaemonSet",
                observed=f"hostPath {path}",
            )
    workers = inventory.derive(count_workers)
    everywhere = 1 < controller.replicas >= workers and _one_per_host(controller)
    observed = f"a {controller.kind} in the host's network, {controller.replicas} replicas for {workers} workers"
    findings.expect(not everywhere, controller.pod_spec_path, expected="a DaemonSet", observed=observed)


@readiness("workloads.node-agents-complete", severity="medium", reads=REPLICATED_READS)
def test_declared_node_agents_cover_every_node(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Every declared node agent is a DaemonSet that is complete on its nodes.

    Why: the network, storage, log and metrics agents are what makes a machine a node of the cluster.
    How: each pattern of subjects.node_agents in the policy file names at least one DaemonSet, in whichever namespace,
    that has a ready and updated pod on every node that it is meant for, by its own status.
    Fix: install the missing agent, free capacity or add tolerations for the missing pods.
    Does not prove: that the list names every agent that the cluster needs.
    """
    patterns = policy.subjects.node_agents
    if not patterns:
        findings.not_applicable("the policy file declares no node agent (subjects.node_agents)")
    every = [one for one in inventory.derive(all_replicated) if one.kind == "DaemonSet"]
    for pattern in patterns:
        named = [one for one in every if chosen([pattern], place(one.raw))]
        findings.expect(bool(named), pattern, expected="a DaemonSet of this name", observed="none")
        for one in named:
            expect_complete(one, findings)


def expect_complete(daemon_set: Workload, findings: Findings) -> None:
    """Expect a DaemonSet to have a ready, updated pod on each of its nodes and none elsewhere, by its status."""
    status = daemon_set.status
    if status.get("observedGeneration") != daemon_set.metadata.get("generation", status.get("observedGeneration")):
        findings.not_assessed(f"the controller has not yet seen the latest version of {daemon_set.name}")
    if "desiredNumberScheduled" not in status:
        findings.not_assessed(f"{daemon_set.name} has no status")
    wanted = int(status["desiredNumberScheduled"])
    for field in ("numberReady", "updatedNumberScheduled"):
        have = int(status.get(field) or 0)
        findings.expect(
            have == wanted,
            f"{daemon_set.name} status.{field}",
            expected=f"{wanted}",
            observed=have,
            look=daemon_set.look,
        )
    stray = int(status.get("numberMisscheduled") or 0)
    findings.expect(
        not stray, f"{daemon_set.name} status.numberMisscheduled", expected="0", observed=stray, look=daemon_set.look
    )


def count_workers(reader: Reader) -> int:
    """How many nodes are not of the control plane."""
    return sum(not Node(raw).control_plane for raw in reader.objects("nodes"))


def _is_agents(path: str) -> bool:
    real = posixpath.normpath(path)
    real = real.removeprefix("/var") if (real + "/").startswith("/var/run/") else real
    mine = real.rstrip("/") + "/"
    return any(mine.startswith(f"{one}/") or f"{one}/".startswith(mine) for one in AGENT_PATHS)


def _one_per_host(workload: Workload) -> bool:
    affinity = (workload.pod_spec.get("affinity") or {}).get("podAntiAffinity") or {}
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return bool(workload.pod_spec.get("hostNetwork")) and any(term.get("topologyKey") == HOSTNAME for term in terms)
