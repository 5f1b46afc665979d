"""Planted defects and near misses of network policies that have to act, on a cluster whose plugin enforces them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from tests.kind.firewall import connections_ended, redirected
from tests.kind.mutations import Arrange, changed
from tests.proofs.builders import container, deployment, named
from tests.proofs.case import Case, defect, near_miss

DENY = "network-policy.default-deny-enforced"
TESTED = "network-policy.tested-and-validated"
METADATA = "network-policy.metadata-service-closed"
DOORS = "network-policy.node-services-refuse-pods"
CONTAINMENT = "operations.containment-isolation"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
TENANCY = "tenancy.network-isolation"
CHAIN = "network-policy.explicit-allow-chain"
Raw = dict[str, Any]
POLICIES = ("networking.k8s.io", "v1", "networkpolicies")


def loosened(purpose: str, policy: str, direction: str) -> Arrange:
    """A policy of a lab that lets everything through in one direction, as an allow-all policy beside it does."""
    patch = f"op: 'add', path: '/spec/{direction}', value: [{{}}]"
    return changed(purpose, patch, resource=POLICIES, only=f"object.metadata.name == '{policy}'")


def answering(address: str) -> Arrange:
    """Let every node lead connections to port 80 of an address to the API servers, as a load balancer's address."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        [known] = api.get(f"{SLICES.format('default')}", {"labelSelector": "kubernetes.io/service-name=kubernetes"})[
            "items"
        ]
        ports = [{"name": "https", "port": 80, "targetPort": 6443}]
        made = api.create(
            f"/api/v1/namespaces/{namespace}/services",
            {"metadata": {"name": "metadata"}, "spec": {"type": "LoadBalancer", "ports": ports}},
        )
        api.create(
            SLICES.format(namespace),
            {
                "metadata": {"name": "metadata", "labels": {"kubernetes.io/service-name": "metadata"}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": one["addresses"]} for one in known["endpoints"]],
                "ports": known["ports"],
            },
        )
        path = f"/api/v1/namespaces/{namespace}/services/{made['metadata']['name']}"
        api.patch(f"{path}/status", {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
        return lambda: api.delete(path)

    return arrange


def space(name: str, tenant: str) -> Raw:
    return named("v1", "Namespace", name, metadata={"labels": {"tenant": tenant, "team": name}})


def workload(name: str, namespace: str, port: int, called: str = "main") -> Raw:
    """A workload without pods: its labels and its port are all that is rehearsed."""
    ports = [{"name": called, "containerPort": port}]
    return placed(deployment(name, container(ports=ports), replicas=0), namespace)


def placed(raw: Raw, namespace: str) -> Raw:
    return {**raw, "metadata": {**raw["metadata"], "namespace": namespace}}


def allowing(name: str, namespace: str, app: str = "", **rules: Any) -> Raw:
    types = [key.capitalize() for key in rules]
    selector = {"matchLabels": {"app": app}} if app else {}
    spec = {"podSelector": selector, "policyTypes": types, **{key: rule for key, rule in rules.items() if rule}}
    return placed(named("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec), namespace)


A, B = "{ns}-a", "{ns}-b"
TENANTS = (space(A, "a"), space(B, "b"), workload("web", A, 8080), workload("api", B, 9443))
TENANT_POLICY: Raw = {"scope": {"include": [A, B]}, "subjects": {"tenant_label": "tenant"}}
WITHIN_A = [{"namespaceSelector": {"matchLabels": {"tenant": "a"}}}]
APART = (
    allowing("own", A, ingress=[{"from": WITHIN_A}], egress=[{"to": WITHIN_A}]),
    allowing("none", B, ingress=[], egress=[]),
)

APP = (workload("web", "{ns}", 8080), workload("api", "{ns}", 8443), workload("db", "{ns}", 543, "pg"))
TIERS: Raw = {"subjects": {"tier_flows": [["{ns}/web", "{ns}/api"], ["{ns}/api", "{ns}/db"]]}}
NAMED: Raw = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}}


def tier(app: str, source: str, port: Any) -> Raw:
    """Only another tier may connect to this one, on one port."""
    peer = {**NAMED, "podSelector": {"matchLabels": {"app": source}}}
    return allowing(app, "{ns}", app, ingress=[{"from": [peer], "ports": [{"port": port}]}])


NO_INGRESS = allowing("none", "{ns}", ingress=[])

CASES: list[Case] = [
    near_miss(DENY, "as it is", alone=True),
    defect(
        DENY,
        "ingress is open all the same",
        observed="client to shut on 8081/TCP: open",
        arrange=loosened("default-deny", "no-ingress", "ingress"),
        alone=True,
    ),
    defect(
        DENY,
        "egress is open all the same",
        observed="mute to the cluster's DNS: open",
        arrange=loosened("default-deny", "no-egress", "egress"),
        alone=True,
    ),
    near_miss(TESTED, "as it is", alone=True),
    defect(
        TESTED,
        "the policy for one port opens all of them to all",
        observed="open",
        arrange=loosened("policies-server", "one-port", "ingress"),
        alone=True,
    ),
    defect(
        TESTED,
        "names stay denied",
        observed="to the cluster's DNS: blocked",
        arrange=changed(
            "policies-clients",
            "op: 'remove', path: '/spec/egress'",
            resource=POLICIES,
            only="object.metadata.name == 'dns'",
        ),
        alone=True,
    ),
    near_miss(METADATA, "another link-local address answers", arrange=answering("169.254.169.123"), alone=True),
    defect(
        METADATA,
        "the address answers",
        observed="a connection opened",
        arrange=answering("169.254.169.254"),
        alone=True,
    ),
    near_miss(DOORS, "as it is", alone=True),
    defect(
        DOORS,
        "something answers on the kubelet's read-only port of one node",
        observed="kubelet's read-only port of",
        arrange=redirected(10255, 10256),
        alone=True,
    ),
    near_miss(
        CONTAINMENT,
        "the procedure also ends the connections that exist",
        arrange=connections_ended("kubeworthy-quarantine=true"),
        alone=True,
    ),
    defect(CONTAINMENT, "a connection that exists outlives the policy", observed="still open", alone=True),
    defect(
        CONTAINMENT,
        "the quarantine lets everything out",
        observed="suspect to client on 8081/TCP: still open",
        arrange=loosened("quarantine", "quarantine", "egress"),
        alone=True,
    ),
    near_miss(TENANCY, "each tenant keeps to itself", *TENANTS, *APART, policy=TENANT_POLICY, alone=True),
    defect(
        TENANCY,
        "one tenant lets everybody in, the other everything out",
        *TENANTS,
        allowing("in", A, ingress=[{}], egress=[]),
        allowing("out", B, ingress=[], egress=[{}]),
        observed="-a/web on 8080/TCP: open",
        policy=TENANT_POLICY,
        alone=True,
    ),
    defect(
        TENANCY,
        "tenants apart, and the nodes open",
        *TENANTS,
        *APART,
        allowing("nodes", B, egress=[{"ports": [{"port": 10250}]}]),
        observed="/api to the kubelet of another node: open",
        policy=TENANT_POLICY,
        alone=True,
    ),
    near_miss(
        CHAIN,
        "from tier to tier",
        *APP,
        NO_INGRESS,
        tier("api", "web", 8443),
        tier("db", "api", "pg"),
        policy=TIERS,
        alone=True,
    ),
    defect(
        CHAIN,
        "the first tier reaches the last",
        *APP,
        NO_INGRESS,
        tier("api", "web", 8443),
        allowing("db", "{ns}", "db", ingress=[{"from": [NAMED]}]),
        observed="/db on 543/TCP: open",
        policy=TIERS,
        alone=True,
    ),
    defect(
        CHAIN,
        "the port of another tier is allowed",
        *APP,
        NO_INGRESS,
        tier("api", "web", 9443),
        tier("db", "api", "pg"),
        observed="/api on 8443/TCP: closed",
        policy=TIERS,
        alone=True,
    ),
]
