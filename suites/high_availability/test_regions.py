"""Services that are served from more than one region, and more than one part of the world."""

from __future__ import annotations

from collections import defaultdict

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster
from fixtures.subjects.assessed import chosen, hold_to, place
from fixtures.subjects.availability import nodes_by_name

SLICES = "endpointslices.discovery.k8s.io"
READS = ("services", SLICES, "nodes")


def regions_by_service(reader: Reader) -> dict[str, frozenset[str]]:
    """The regions of the nodes that hold a ready endpoint of each Service ("namespace/name")."""
    nodes = reader.derive(nodes_by_name)
    found: dict[str, set[str]] = defaultdict(set)
    for one in reader.objects(SLICES):
        metadata = one["metadata"]
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
        if not service:
            continue
        for endpoint in one.get("endpoints") or ():
            node = nodes.get(endpoint.get("nodeName") or "")
            if node and node.region and (endpoint.get("conditions") or {}).get("ready") is not False:
                found[f"{metadata.get('namespace', '')}/{service}"].add(node.region)
    return {service: frozenset(regions) for service, regions in found.items()}


def _services(inventory: Reader, policy: Policy, findings: Findings) -> list[str]:
    patterns = policy.subjects.services_in_two_regions
    if not patterns:
        findings.not_assessed("subjects.services_in_two_regions of the policy file names no Service")
    names = [place(raw) for raw in inventory.objects("services")]
    hold_to(patterns, names, "services", "services_in_two_regions")
    return sorted(name for name in names if chosen(patterns, name))


@readiness("high-availability.multi-region", severity="high", reads=READS)
def test_services_are_ready_in_two_regions(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """The Services that must outlive a region are Ready in two of them.

    Why: A region fails as a whole: power, network, the provider's control plane, a wrong change.
    How: topology.kubernetes.io/region of the nodes behind the ready endpoints of the Services that
    subjects.services_in_two_regions names. A cluster in one region cannot tell: the other may be another cluster's.
    Fix: Run the Service in a second region, in this cluster or in another one behind a global load balancer.
    Does not prove: That traffic moves when a region is lost, or that the data is there.
    """
    services = _services(inventory, policy, findings)
    regions = {node.region for node in inventory.derive(nodes_by_name).values() if node.region}
    if len(regions) < 2:
        here = ", ".join(sorted(regions)) or "none is labelled"
        findings.not_assessed(f"the nodes of this cluster are in one region ({here}); another cluster is not seen")
    for service in services:
        held = inventory.derive(regions_by_service).get(service, frozenset())
        findings.expect(len(held) >= 2, service, expected="2 regions or more", observed=held, look=_look(service))


@readiness("high-availability.geographic-distribution", severity="medium", reads=READS)
def test_services_are_ready_in_two_areas(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """The Services that must outlive a region are Ready in two geographic areas.

    Why: Two regions of one area share weather, power grid, law and provider staff.
    How: As high-availability.multi-region, with regions mapped to areas by subjects.areas of the policy file. A
    cluster whose nodes are all in one area cannot tell: the other may be another cluster's.
    Fix: Add a region of another area.
    Does not prove: That users are served from the area that is near them.
    """
    services = _services(inventory, policy, findings)
    regions = {node.region for node in inventory.derive(nodes_by_name).values() if node.region}
    areas = policy.subjects.areas
    unknown = sorted(regions - areas.keys())
    if unknown:
        findings.not_assessed(f"subjects.areas of the policy file does not say in which area {', '.join(unknown)} is")
    if len({areas[region] for region in regions}) < 2:
        findings.not_assessed("the nodes of this cluster are in one area; a second cluster is not seen from here")
    for service in services:
        held = {areas[region] for region in inventory.derive(regions_by_service).get(service, ())}
        findings.expect(len(held) >= 2, service, expected="2 areas or more", observed=held, look=_look(service))


def _look(service: str) -> str:
    namespace, _, name = service.partition("/")
    return f"kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name} -o yaml"
