"""Nothing stands or falls with one pod, one node, one zone or one API server."""

from __future__ import annotations

from collections.abc import Mapping

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, Replicated, WholeCluster
from fixtures.subjects.assessed import chosen, place
from fixtures.subjects.availability import nodes_by_name

SLICES = "endpointslices.discovery.k8s.io"
TWO = 2


def worker_zones(reader: Reader) -> frozenset[str]:
    """The zones that have a Ready worker node."""
    nodes = reader.derive(nodes_by_name).values()
    return frozenset(node.zone for node in nodes if node.zone and node.ready and not node.control_plane)


@readiness("high-availability.no-single-point-of-failure", severity="critical", reads=("nodes",))
def test_workloads_outlive_a_pod_a_node_and_a_zone(
    replicated: Replicated, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Every Deployment and StatefulSet has two Ready pods, on two nodes, in two zones.

    Why: With one pod, or all pods in one place, each drain, node failure or zone outage is an outage of the
    service.
    How: spec.replicas (the autoscaler's minReplicas where that is lower), and the nodes and zones of the Ready
    pods; zones count only where Ready workers are in more than one. Exempt are the workloads of
    subjects.single_replica.
    Fix: Set replicas (or minReplicas) to 2 or more, and add topologySpreadConstraints over hostname and zone.
    Does not prove: That the remaining pods carry the load, or that the application works with several replicas.
    """
    if chosen(policy.subjects.single_replica, place(replicated.raw)):
        findings.not_applicable("subjects.single_replica of the policy file declares that one replica is enough")
    if not replicated.replicas:
        findings.not_applicable("spec.replicas is 0: no pod is wanted")
    at = "spec.replicas" if replicated.floor == replicated.replicas else "HorizontalPodAutoscaler spec.minReplicas"
    findings.expect(replicated.floor >= TWO, at, expected="2 or more", observed=replicated.floor)
    nodes = inventory.derive(nodes_by_name)
    if not nodes:
        findings.not_assessed("no node was read, so that the pods' places cannot be seen")
    _expect_spread(replicated, findings, nodes, inventory.derive(worker_zones))


def _expect_spread(
    replicated: Replicated, findings: Findings, nodes: Mapping[str, Node], zones: frozenset[str]
) -> None:
    ready = [pod for pod in replicated.running if pod.ready]
    findings.expect(len(ready) >= TWO, "Ready pods", expected="2 or more", observed=len(ready))
    places = {pod.node for pod in ready}
    findings.expect(len(places) >= TWO, "nodes of the Ready pods", expected="2 or more", observed=places)
    if len(zones) >= TWO:
        held = {nodes[name].zone for name in places if name in nodes and nodes[name].zone}
        findings.expect(len(held) >= TWO, "zones of the Ready pods", expected="2 or more", observed=held)


@readiness("high-availability.redundant-api-server", severity="critical", reads=(SLICES, "nodes"))
def test_more_than_one_api_server_answers(cluster: WholeCluster, findings: Findings, inventory: Reader) -> None:
    """At least two API servers are behind the Service `kubernetes`.

    Why: Without an API server nothing is scheduled, scaled, healed or rolled back.
    How: The ready addresses of the EndpointSlices of default/kubernetes. Where there is one address and no node of
    the control plane is to be seen, the provider hides its instances, and the check says that it cannot tell.
    Fix: Join a second and third control-plane node, or choose the provider's regional control plane.
    Does not prove: That the servers are on different nodes or in different zones, or that etcd has quorum to spare.
    """
    addresses = {
        address
        for one in inventory.objects(SLICES)
        if place(one).startswith("default/")
        and (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == "kubernetes"
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    }
    visible = [node for node in inventory.derive(nodes_by_name).values() if node.control_plane]
    if len(addresses) < TWO and not visible:
        findings.not_assessed("no control-plane node is to be seen: the provider hides how many API servers there are")
    findings.measure("API servers", len(addresses), "", TWO)
    findings.expect(
        len(addresses) >= TWO,
        "EndpointSlice default/kubernetes",
        expected="2 or more addresses",
        observed=addresses,
        look="kubectl -n default get endpointslices -l kubernetes.io/service-name=kubernetes -o yaml",
    )
