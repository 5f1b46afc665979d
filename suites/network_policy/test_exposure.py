"""What the node agents under assessment offer to others."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.selectors import matches_map
from fixtures.subjects import Raw, Reader, Workload

INGRESSES = "ingresses.networking.k8s.io"
ROUTES = tuple(f"{resource}.gateway.networking.k8s.io" for resource in ("httproutes", "grpcroutes"))


def backends(reader: Reader) -> dict[tuple[str, str], list[str]]:
    """What leads from outside to each Service (namespace and name): Ingresses and the Gateway API's routes."""
    found: dict[tuple[str, str], list[str]] = {}
    for raw in reader.objects(INGRESSES):
        namespace, name = str(raw["metadata"].get("namespace", "")), raw["metadata"].get("name", "")
        for service in _ingress_services(raw.get("spec") or {}):
            found.setdefault((namespace, service), []).append(f"Ingress {namespace}/{name}")
    for kind in ROUTES:
        for raw in reader.objects(kind):
            namespace, name = str(raw["metadata"].get("namespace", "")), raw["metadata"].get("name", "")
            for rule in (raw.get("spec") or {}).get("rules") or ():
                for one in rule.get("backendRefs") or ():
                    if one.get("kind", "Service") == "Service":
                        place = (str(one.get("namespace") or namespace), str(one["name"]))
                        found.setdefault(place, []).append(f"{raw.get('kind')} {namespace}/{name}")
    return found


def _ingress_services(spec: Raw) -> Iterator[str]:
    paths = [path for rule in spec.get("rules") or () for path in (rule.get("http") or {}).get("paths") or ()]
    for backend in (spec.get("defaultBackend"), *(path.get("backend") for path in paths)):
        if backend and backend.get("service"):
            yield str(backend["service"]["name"])


@readiness("network-policy.metrics-only-exposure", severity="medium", reads=("services", INGRESSES, *ROUTES))
def test_daemon_sets_expose_their_metrics_only(
    daemon_set: Workload, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """A DaemonSet exposes its metrics port only, and only inside the cluster.

    Why: Every further port of an agent is offered on every node, and a host port or route offers it to the outside.
    How: Declared container ports, hostPort and hostNetwork; the Services that select the pods: type ClusterIP, no
    externalIPs, every target port the one that subjects.daemon_sets.metrics_port names (9102/TCP); Ingresses, HTTPRoutes
    and GRPCRoutes that lead to them.
    Fix: Reduce the Service to type ClusterIP with the metrics port; remove hostPort, hostNetwork and other ports.
    Does not prove: That the process listens on nothing else: a container port need not be declared.
    """
    wanted = policy.subjects.daemon_sets.metrics_port
    spec = daemon_set.pod_spec
    findings.expect(not spec.get("hostNetwork"), "hostNetwork", expected="false", observed=spec.get("hostNetwork"))
    declared = _declared_ports(daemon_set, findings, wanted)
    findings.expect(
        (wanted, "TCP") in declared, "ports", expected=f"{wanted}/TCP is declared", observed=_ports(declared)
    )
    leading = inventory.derive(backends)
    for service in inventory.objects("services"):
        place = (str(service["metadata"].get("namespace", "")), str(service["metadata"].get("name", "")))
        selector = (service.get("spec") or {}).get("selector")
        if place[0] == daemon_set.namespace and matches_map(selector, daemon_set.pod_labels):
            _judge_service(service, f"Service {place[0]}/{place[1]}", findings, daemon_set, wanted)
            routes = leading.get(place, [])
            findings.expect(
                not routes, f"Service {place[0]}/{place[1]}", expected="no route from outside", observed=routes
            )


def _declared_ports(daemon_set: Workload, findings: Findings, wanted: int) -> set[tuple[int, str]]:
    found = set()
    for container in daemon_set.containers:
        for number, port in enumerate(container.raw.get("ports") or ()):
            place = f"{container.path}.ports[{number}]"
            one = (int(port["containerPort"]), str(port.get("protocol") or "TCP"))
            found.add(one)
            host = port.get("hostPort") or 0
            if not daemon_set.pod_spec.get("hostNetwork"):  # there the API server fills hostPort in itself
                findings.expect(not host, place, expected="no hostPort", observed=host)
            findings.expect(one == (wanted, "TCP"), place, expected=f"{wanted}/TCP only", observed=_ports({one}))
    return found


def _judge_service(service: Raw, name: str, findings: Findings, daemon_set: Workload, wanted: int) -> None:
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    findings.expect(kind == "ClusterIP", name, expected="type ClusterIP", observed=kind)
    outside = spec.get("externalIPs") or ()
    findings.expect(not outside, name, expected="no externalIPs", observed=outside)
    for port in spec.get("ports") or ():
        protocol = str(port.get("protocol") or "TCP")
        target = port.get("targetPort") or port.get("port")
        numbers = _named(daemon_set, target, protocol) if isinstance(target, str) else {int(target)}
        right = numbers == {wanted} and protocol == "TCP"
        findings.expect(
            right, f"{name} port {port.get('port')}", expected=f"target {wanted}/TCP", observed=f"{target}/{protocol}"
        )


def _named(daemon_set: Workload, name: str, protocol: str) -> set[int]:
    return {
        int(port["containerPort"])
        for container in daemon_set.containers
        for port in container.raw.get("ports") or ()
        if port.get("name") == name and (port.get("protocol") or "TCP") == protocol
    }


def _ports(ports: set[tuple[int, str]]) -> list[str]:
    return [f"{number}/{protocol}" for number, protocol in sorted(ports)]
