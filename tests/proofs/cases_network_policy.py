"""Planted defects and near misses of the area network-policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import container, cron_job, daemon_set, deployment, merge, named, network_policy, service
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.customs import customs

NAMESPACE = "Namespace {ns}"
WEB = "Deployment {ns}/web"
AGENT = "DaemonSet {ns}/agent"
BOTH = ["Ingress", "Egress"]
NA, UNKNOWN = Verdict.NOT_APPLICABLE, Verdict.NOT_ASSESSED

DENY = network_policy("default-deny", policyTypes=BOTH)
TO_DNS = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"port": 53, "protocol": "UDP"}],
}
WHOLE = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
HALVES = [{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}}]
APP_WEB = {"podSelector": {"matchLabels": {"app": "web"}}}


def custom(api_version: str, kind: str, name: str, spec: Raw, **more: Any) -> Raw:
    """An object of a custom kind."""
    return named(api_version, kind, name, spec=spec, **more)


def cilium(name: str, **spec: Any) -> Raw:
    """A CiliumClusterwideNetworkPolicy for all pods of the case's namespace."""
    selector = {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "{ns}"}}
    return custom("cilium.io/v2", "CiliumClusterwideNetworkPolicy", name, {"endpointSelector": selector, **spec})


def calico(name: str, **spec: Any) -> Raw:
    """A Calico GlobalNetworkPolicy for the case's namespace."""
    only = {"namespaceSelector": "projectcalico.org/name == '{ns}'", "types": BOTH}
    return custom("crd.projectcalico.org/v1", "GlobalNetworkPolicy", name, {**only, **spec})


def admin(kind: str, **spec: Any) -> Raw:
    """A cluster-wide policy of the network policy API for the case's namespace."""
    subject = {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}}
    return custom("policy.networking.k8s.io/v1alpha1", kind, "default", {"subject": subject, **spec})


DENY_PODS = {"action": "Deny", "from": [{"namespaces": {}}]}
DENY_ALL_OUT = {"action": "Deny", "to": [{"namespaces": {}}, {"networks": ["0.0.0.0/0"]}]}

DEFAULT = "network-policy.default-deny"

DEFAULTS = [
    defect(DEFAULT, "no policy at all", deployment(), subject=NAMESPACE, observed="ingress: isolated by no policy"),
    defect(DEFAULT, "ingress only", deployment(), network_policy("deny"), subject=NAMESPACE, observed="egress: isolated by no policy"),
    defect(DEFAULT, "a selector, so that new pods are open", deployment(), network_policy("deny", policyTypes=BOTH, **APP_WEB), subject=NAMESPACE, observed="isolated by no policy"),
    defect(DEFAULT, "an allow-all rule beside it", deployment(), DENY, network_policy("open", ingress=[{}]), subject=NAMESPACE, observed="opened by NetworkPolicy"),
    defect(DEFAULT, "all addresses, for egress", deployment(), DENY, network_policy("out", policyTypes=["Egress"], egress=[{"to": WHOLE}]), subject=NAMESPACE, observed="opened by NetworkPolicy"),
    defect(DEFAULT, "all addresses, in two halves", deployment(), DENY, network_policy("out", policyTypes=["Egress"], egress=[{"to": HALVES}]), subject=NAMESPACE, observed="opened by NetworkPolicy"),
    near_miss(DEFAULT, "two policies of one direction each", deployment(), network_policy("in"), network_policy("out", policyTypes=["Egress"]), subject=NAMESPACE),
    near_miss(DEFAULT, "DNS in the same policy", deployment(), network_policy("deny", policyTypes=BOTH, egress=[TO_DNS]), subject=NAMESPACE),
    near_miss(DEFAULT, "another name and an empty list of rules", deployment(), network_policy("lockdown", policyTypes=BOTH, ingress=[], egress=[]), subject=NAMESPACE),
    near_miss(DEFAULT, "an allow-all rule in a direction that the policy leaves alone", deployment(), DENY, network_policy("odd", policyTypes=["Egress"], ingress=[{}]), subject=NAMESPACE),
    near_miss(DEFAULT, "an allow-all rule for some pods, which is those pods' matter", deployment(), DENY, network_policy("open", ingress=[{}], **APP_WEB), subject=NAMESPACE),
    near_miss(DEFAULT, "the internet, without the private ranges", deployment(), DENY, network_policy("out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}]), subject=NAMESPACE),
    defect(DEFAULT, "Cilium isolates ingress only", deployment(), subject=NAMESPACE, observed="egress: isolated by no policy", alone=True, arrange=customs(cilium("deny", ingress=[{}]))),
    near_miss(DEFAULT, "Cilium's empty rules", deployment(), subject=NAMESPACE, alone=True, arrange=customs(cilium("deny", ingress=[{}], egress=[{}]))),
    near_miss(DEFAULT, "Cilium, by the name of a service account", deployment(), subject=NAMESPACE, verdict=UNKNOWN, alone=True, arrange=customs(cilium("deny", ingress=[{}], egress=[{}], endpointSelector={"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "default"}}))),
    defect(DEFAULT, "Calico, with a rule that allows all", deployment(), subject=NAMESPACE, observed="opened by GlobalNetworkPolicy deny spec.egress[0]", alone=True, arrange=customs(calico("deny", egress=[{"action": "Allow"}]))),
    near_miss(DEFAULT, "Calico's global default", deployment(), subject=NAMESPACE, alone=True, arrange=customs(calico("deny"))),
    near_miss(DEFAULT, "a baseline of the network policy API", deployment(), subject=NAMESPACE, alone=True, arrange=customs(admin("BaselineAdminNetworkPolicy", ingress=[DENY_PODS], egress=[DENY_ALL_OUT]))),
    defect(DEFAULT, "an admin policy overrules it", deployment(), DENY, subject=NAMESPACE, observed="opened by AdminNetworkPolicy default spec.ingress[0]", alone=True, arrange=customs(admin("AdminNetworkPolicy", priority=5, ingress=[{"action": "Allow", "from": [{"namespaces": {}}]}]))),
]  # fmt: skip

NO_OPEN = "network-policy.no-open-default"

ISOLATION = [
    defect(NO_OPEN, "no policy selects it", deployment(), network_policy("db", policyTypes=BOTH, podSelector={"matchLabels": {"app": "db"}}), subject=WEB, observed="isolated by no policy"),
    defect(NO_OPEN, "no policyTypes, which leaves egress open", deployment(), network_policy("web", **APP_WEB), subject=WEB, observed="egress: isolated by no policy"),
    defect(NO_OPEN, "a CronJob that nobody thought of", cron_job(), network_policy("web", policyTypes=BOTH, **APP_WEB), subject="CronJob {ns}/report", observed="isolated by no policy"),
    defect(NO_OPEN, "isolated, and opened again by another policy", deployment(), DENY, network_policy("open", policyTypes=BOTH, egress=[{}], **APP_WEB), subject=WEB, observed="opened by NetworkPolicy"),
    near_miss(NO_OPEN, "two policies, by matchExpressions", deployment(), network_policy("in", podSelector={"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}), network_policy("out", policyTypes=["Egress"], podSelector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}), subject=WEB),
    near_miss(NO_OPEN, "policyTypes that follow from egress rules", deployment(), network_policy("web", egress=[TO_DNS]), subject=WEB),
    near_miss(NO_OPEN, "everybody, on one port", deployment(), network_policy("web", policyTypes=BOTH, ingress=[{"ports": [{"port": 8080}]}]), subject=WEB),
    near_miss(NO_OPEN, "hostNetwork, which no policy reaches", daemon_set(pod={"hostNetwork": True}), subject=AGENT, verdict=NA),
]  # fmt: skip

PRESENT = "network-policy.policies-present"
RESOLVED = "network-policy.policies-resolved"
HTTP = container(ports=[{"name": "http", "containerPort": 8080}])

POLICIES = [
    defect(PRESENT, "none", deployment(), subject=NAMESPACE, observed="not set"),
    defect(PRESENT, "one that selects nothing", deployment(), network_policy("web", podSelector={"matchLabels": {"app": "wbe"}}), subject=NAMESPACE, observed="not set"),
    near_miss(PRESENT, "one for some of the pods", deployment(), deployment("other"), network_policy("web", **APP_WEB), subject=NAMESPACE),
    near_miss(PRESENT, "only pods with hostNetwork", daemon_set(pod={"hostNetwork": True}), subject=NAMESPACE, verdict=NA),
    near_miss(PRESENT, "one of Cilium's", deployment(), subject=NAMESPACE, alone=True, arrange=customs(cilium("web", ingress=[{"fromEntities": ["cluster"]}]))),
    defect(RESOLVED, "a slip of the pen in the selector", deployment(), network_policy("web", podSelector={"matchLabels": {"app": "wbe"}}), observed="wbe"),
    defect(RESOLVED, "only pods with hostNetwork", daemon_set(pod={"hostNetwork": True}), network_policy("agent", podSelector={"matchLabels": {"app": "agent"}}), observed="only pods that use their node's network"),
    defect(RESOLVED, "a port's name that no container has", deployment("web", HTTP), network_policy("web", ingress=[{"ports": [{"port": "https"}]}], **APP_WEB), observed="https"),
    defect(RESOLVED, "a port's name with another protocol", deployment("web", HTTP), network_policy("web", ingress=[{"ports": [{"port": "http", "protocol": "UDP"}]}], **APP_WEB), observed="http"),
    near_miss(RESOLVED, "the namespace's default, in an empty namespace", DENY),
    near_miss(RESOLVED, "the pods of a CronJob that does not run", cron_job(), network_policy("report", podSelector={"matchLabels": {"app": "report"}})),
    near_miss(RESOLVED, "one pod by its name", deployment(), network_policy("first", podSelector={"matchExpressions": [{"key": "pod-template-hash", "operator": "Exists"}]}), pods=True),
    near_miss(RESOLVED, "a port's name that exists", deployment("web", HTTP), network_policy("web", ingress=[{"ports": [{"port": "http"}]}], **APP_WEB)),
]  # fmt: skip

IDENTITY = "network-policy.identity-based-rules"
CLIENTS = {"podSelector": {"matchLabels": {"app": "web"}}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
ENCRYPTED = "network-policy.pod-traffic-encrypted"


def strict(name: str, mode: str, namespace: str, **spec: Any) -> Raw:
    """A PeerAuthentication of Istio."""
    place = {"namespace": namespace}
    return custom("security.istio.io/v1", "PeerAuthentication", name, {"mtls": {"mode": mode}, **spec}, metadata=place)


SIDECAR = deployment("web", container(), container(name="istio-proxy"))
CILIUM_NODE = {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "node-0"}, "spec": {}}
KEYED = merge(CILIUM_NODE, {"metadata": {"annotations": {"network.cilium.io/wg-pub-key": "c29tZSBrZXk="}}})

ZERO_TRUST = [
    defect(IDENTITY, "every pod of the cluster", deployment(), network_policy("web", ingress=[{"from": [{"namespaceSelector": {}}]}]), observed="every pod of the cluster"),
    defect(IDENTITY, "every pod of the namespace", deployment(), network_policy("web", ingress=[{"from": [{"podSelector": {}}]}]), observed="every pod of the namespace"),
    defect(IDENTITY, "everybody", deployment(), network_policy("web", ingress=[{"ports": [{"port": 8080}]}]), observed="everybody"),
    defect(IDENTITY, "a block that holds the addresses of pods", deployment(), network_policy("web", ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), observed="which reaches the addresses of pods", pods=True),
    near_miss(IDENTITY, "pods and a namespace by their labels", deployment(), network_policy("web", ingress=[{"from": [CLIENTS, MONITORING]}])),
    near_miss(IDENTITY, "all namespaces, certain pods", deployment(), network_policy("web", ingress=[{"from": [{"namespaceSelector": {}, **CLIENTS}]}])),
    near_miss(IDENTITY, "addresses outside of the cluster", deployment(), network_policy("web", ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}]), pods=True),
    near_miss(IDENTITY, "a default deny has no allow rule", DENY, verdict=NA),
    defect(ENCRYPTED, "in the mesh, and permissive", SIDECAR, subject=NAMESPACE, observed="PERMISSIVE", alone=True, arrange=customs(strict("default", "PERMISSIVE", "{ns}"))),
    defect(ENCRYPTED, "strict, and one workload outside of the mesh", SIDECAR, deployment("other"), subject=NAMESPACE, observed="/other: none", alone=True, arrange=customs(strict("default", "STRICT", "{ns}"))),
    defect(ENCRYPTED, "strict, and taken back for one workload", SIDECAR, subject=NAMESPACE, observed="weaker for a workload or port", alone=True, arrange=customs(strict("default", "STRICT", "{ns}"), strict("web", "DISABLE", "{ns}", selector={"matchLabels": {"app": "web"}}))),
    defect(ENCRYPTED, "Cilium without encryption", deployment(), subject=NAMESPACE, observed="Cilium without encryption", alone=True, arrange=customs(CILIUM_NODE)),
    near_miss(ENCRYPTED, "no mechanism in sight", deployment(), subject=NAMESPACE, verdict=UNKNOWN),
    near_miss(ENCRYPTED, "strict, with the sidecar", SIDECAR, subject=NAMESPACE, alone=True, arrange=customs(strict("default", "STRICT", "{ns}"))),
    near_miss(ENCRYPTED, "WireGuard of Cilium", deployment(), subject=NAMESPACE, alone=True, arrange=customs(KEYED)),
    near_miss(ENCRYPTED, "WireGuard of Calico", deployment(), subject=NAMESPACE, alone=True, arrange=customs(custom("crd.projectcalico.org/v1", "FelixConfiguration", "default", {"wireguardEnabled": True}))),
]  # fmt: skip

SELECTED = "network-policy.subject-policy-present"
EXPOSURE = "network-policy.metrics-only-exposure"
INGRESS = "network-policy.subject-ingress-policy"
EGRESS = "network-policy.subject-egress-policy"
METRICS = container(ports=[{"name": "metrics", "containerPort": 9102}])
SCRAPE = {
    "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "{ns}"}}}],
    "ports": [{"port": 9102}],
}
SCRAPED_HERE = {"subjects": {"daemon_sets": {"metrics_namespace": "{ns}"}}}
CALLS_HERE = {"subjects": {"daemon_sets": {"destinations": ["{ns} 4317", "10.96.0.1/32 443/TCP"]}}}
CALLS = {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": 4317}]}
TO_API = {"to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}], "ports": [{"port": 443}]}
TO_NODE_DNS = {"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]}
HOST = {"hostNetwork": True}
ROUTE = {
    "http": {
        "paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "agent", "port": {"number": 80}}}}
        ]
    }
}
METRICS_SERVICE = service("agent", ports=[{"port": 80, "targetPort": "metrics"}])


def agent_policy(**spec: Any) -> Raw:
    """A NetworkPolicy for the DaemonSet `agent`."""
    return network_policy("agent", podSelector={"matchLabels": {"app": "agent"}}, **spec)


AGENTS = [
    defect(SELECTED, "none", daemon_set(), subject=AGENT, observed="not set"),
    defect(SELECTED, "one for another app", daemon_set(), network_policy("web", **APP_WEB), subject=AGENT, observed="not set"),
    near_miss(SELECTED, "the default of the namespace", daemon_set(), DENY, subject=AGENT),
    near_miss(SELECTED, "hostNetwork", daemon_set(pod=HOST), subject=AGENT, verdict=NA),
    defect(EXPOSURE, "a NodePort", daemon_set("agent", METRICS), service("agent", type="NodePort", ports=[{"port": 9102}]), subject=AGENT, observed="NodePort"),
    defect(EXPOSURE, "another target port", daemon_set("agent", METRICS), service("agent"), subject=AGENT, observed="8080"),
    defect(EXPOSURE, "a second container port", daemon_set("agent", container(ports=[{"containerPort": 9102}, {"containerPort": 8080}])), subject=AGENT, observed="8080/TCP"),
    defect(EXPOSURE, "a hostPort", daemon_set("agent", container(ports=[{"containerPort": 9102, "hostPort": 9102}])), subject=AGENT, observed="9102"),
    defect(EXPOSURE, "hostNetwork", daemon_set("agent", METRICS, pod=HOST), subject=AGENT, observed="hostNetwork: true"),
    defect(EXPOSURE, "an Ingress", daemon_set("agent", METRICS), METRICS_SERVICE, named("networking.k8s.io/v1", "Ingress", "out", spec={"rules": [ROUTE]}), subject=AGENT, observed="Ingress"),
    defect(EXPOSURE, "an external address", daemon_set("agent", METRICS), service("agent", ports=[{"port": 9102}], externalIPs=["192.0.2.1"]), subject=AGENT, observed="192.0.2.1"),
    near_miss(EXPOSURE, "a ClusterIP to the port by name", daemon_set("agent", METRICS), METRICS_SERVICE, subject=AGENT),
    near_miss(EXPOSURE, "a headless Service, and a NodePort of another app", daemon_set("agent", METRICS), service("agent", clusterIP="None", ports=[{"port": 9102}]), service("web", type="NodePort"), subject=AGENT),
    near_miss(EXPOSURE, "an Ingress to another Service", daemon_set("agent", METRICS), METRICS_SERVICE, service("web"), named("networking.k8s.io/v1", "Ingress", "out", spec={"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}), subject=AGENT),
    defect(INGRESS, "isolated for egress only", daemon_set("agent", METRICS), agent_policy(policyTypes=["Egress"]), subject=AGENT, observed="ingress: isolated by no policy"),
    defect(INGRESS, "everybody, on the metrics port", daemon_set("agent", METRICS), agent_policy(ingress=[{"ports": [{"port": 9102}]}]), subject=AGENT, observed="every peer"),
    defect(INGRESS, "every namespace", daemon_set("agent", METRICS), agent_policy(ingress=[{"from": [{"namespaceSelector": {}}], "ports": [{"port": 9102}]}]), subject=AGENT, observed="every namespace on TCP 9102"),
    defect(INGRESS, "the right namespace, on every port", daemon_set("agent", METRICS), agent_policy(ingress=[{"from": SCRAPE["from"]}]), subject=AGENT, observed="every port", policy=SCRAPED_HERE),
    defect(INGRESS, "a range that endPort opens", daemon_set("agent", METRICS), agent_policy(ingress=[merge(SCRAPE, {"ports": [{"port": 9102, "endPort": 9110}]})]), subject=AGENT, observed="TCP 9102-9110", policy=SCRAPED_HERE),
    near_miss(INGRESS, "the monitoring namespace, on the metrics port", daemon_set("agent", METRICS), DENY, agent_policy(ingress=[SCRAPE]), subject=AGENT, policy=SCRAPED_HERE),
    near_miss(INGRESS, "the port by its name, and pods of the same namespace", daemon_set("agent", METRICS), agent_policy(ingress=[{"from": [{"podSelector": {}}], "ports": [{"port": "metrics"}]}]), subject=AGENT, policy=SCRAPED_HERE),
    near_miss(INGRESS, "nobody at all", daemon_set("agent", METRICS), DENY, subject=AGENT),
    near_miss(INGRESS, "hostNetwork", daemon_set(pod=HOST), subject=AGENT, verdict=NA),
    defect(EGRESS, "no Egress among the types", daemon_set(), agent_policy(), subject=AGENT, observed="egress: isolated by no policy"),
    defect(EGRESS, "DNS to everywhere", daemon_set(), agent_policy(policyTypes=BOTH, egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}]), subject=AGENT, observed="every peer"),
    defect(EGRESS, "DNS to every address", daemon_set(), agent_policy(policyTypes=BOTH, egress=[{"to": WHOLE, "ports": [{"port": 53, "protocol": "UDP"}]}]), subject=AGENT, observed="0.0.0.0/0 on UDP 53"),
    defect(EGRESS, "the API server, undeclared", daemon_set(), agent_policy(egress=[TO_DNS, TO_API]), subject=AGENT, observed="10.96.0.1/32 on TCP 443"),
    defect(EGRESS, "another port of a declared namespace", daemon_set(), agent_policy(egress=[merge(CALLS, {"ports": [{"port": 4318}]})]), subject=AGENT, observed="TCP 4318", policy=CALLS_HERE),
    near_miss(EGRESS, "DNS of pods and of the node, and nothing else", daemon_set(), agent_policy(egress=[TO_DNS, TO_NODE_DNS]), subject=AGENT),
    near_miss(EGRESS, "declared destinations", daemon_set(), agent_policy(egress=[TO_DNS, TO_API, CALLS]), subject=AGENT, policy=CALLS_HERE),
    near_miss(EGRESS, "nothing at all", daemon_set(), DENY, subject=AGENT),
]  # fmt: skip

TENANTS = "network-policy.tenant-segmentation"


def space(name: str, tenant: str) -> Raw:
    """A namespace of a tenant."""
    return named("v1", "Namespace", name, metadata={"labels": {"tenant": tenant}})


def placed(raw: Raw, namespace: str) -> Raw:
    """An object in another namespace than the case's own."""
    return merge(raw, {"metadata": {"namespace": namespace}})


A, B = "{ns}-a", "{ns}-b"
TWO = (space(A, "red"), space(B, "blue"), placed(deployment(), A), placed(deployment(), B))
SCOPE = {"scope": {"include": [A, B]}, "subjects": {"tenant_label": "tenant"}}
FLOWS = {"scope": {"include": [A, B]}, "subjects": {"tenant_label": "tenant", "tenant_flows": [["red", "blue"]]}}
RED = {"namespaceSelector": {"matchLabels": {"tenant": "red"}}}
BLUE = {"namespaceSelector": {"matchLabels": {"tenant": "blue"}}}
OUT_OF_A = placed(network_policy("out", policyTypes=["Egress"], egress=[{"to": [BLUE], "ports": [{"port": 8080}]}]), A)
INTO_B = placed(network_policy("in", ingress=[{"from": [RED], "ports": [{"port": 8000, "endPort": 9000}]}]), B)
OTHER_PORT = placed(network_policy("in", ingress=[{"from": [RED], "ports": [{"port": 443}]}]), B)
DENIED = (placed(DENY, A), placed(DENY, B))

SEGMENTATION = [
    defect(TENANTS, "no policy", *TWO, policy=SCOPE, observed="red to blue: Deployment"),
    defect(TENANTS, "both ends agree on one port", *TWO, *DENIED, OUT_OF_A, INTO_B, policy=SCOPE, observed="on TCP 8080; egress: NetworkPolicy"),
    defect(TENANTS, "a block of addresses that holds pods", *TWO, *DENIED, placed(network_policy("out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.168.0.0/16"]}}]}]), A), INTO_B, policy=SCOPE, observed="red to blue"),
    defect(TENANTS, "ingress is closed in one direction only", *TWO, placed(network_policy("deny"), B), policy=SCOPE, observed="blue to red"),
    near_miss(TENANTS, "both ends agree on no port", *TWO, *DENIED, OUT_OF_A, OTHER_PORT, policy=SCOPE),
    near_miss(TENANTS, "only one end allows it", *TWO, *DENIED, OUT_OF_A, policy=SCOPE),
    near_miss(TENANTS, "a declared flow", *TWO, *DENIED, OUT_OF_A, INTO_B, policy=FLOWS),
    near_miss(TENANTS, "one tenant in two namespaces", space(A, "red"), space(B, "red"), placed(deployment(), A), placed(deployment(), B), policy=SCOPE, verdict=NA),
    near_miss(TENANTS, "Cilium allows something", *TWO, *DENIED, policy=SCOPE, verdict=UNKNOWN, alone=True, arrange=customs(cilium("open", ingress=[{"fromEntities": ["cluster"]}]))),
    near_miss(TENANTS, "Calico denies all", *TWO, policy=SCOPE, alone=True, arrange=customs(custom("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "deny", {"types": BOTH}))),
]  # fmt: skip

PLUGIN = "network-policy.cni-plugin"
EVERYWHERE = {"tolerations": [{"operator": "Exists"}]}


def plugin(label: str, value: str, *containers: Raw, **pod: Any) -> Raw:
    """The DaemonSet of a network plugin, on every node unless told otherwise."""
    labels = {"metadata": {"labels": {label: value}}}
    return merge(daemon_set(value, *containers, pod={**EVERYWHERE, **pod}, template=labels), labels)


VPC_AGENT = container(name="aws-eks-nodeagent", args=["--enable-network-policy=true"])


def unavailable(api: Api, namespace: str) -> Callable[[], None]:
    """Let a node say that its network is not set up."""
    path = "/api/v1/nodes/node-0"
    conditions = api.get(path)["status"]["conditions"]
    broken = {"type": "NetworkUnavailable", "status": "True", "reason": "NoRoute", "message": "no route"}
    kept = [one for one in conditions if one["type"] != "NetworkUnavailable"]
    api.patch(f"{path}/status", {"status": {"conditions": [*kept, broken]}})

    def undo() -> None:
        api.patch(f"{path}/status", {"status": {"conditions": conditions}})

    return undo


PLUGINS = [
    defect(PLUGIN, "flannel alone", plugin("app", "flannel"), observed="flannel", alone=True, pods=True),
    defect(PLUGIN, "Amazon's plugin without its policy agent", plugin("k8s-app", "aws-node"), observed="Amazon VPC CNI", alone=True, pods=True),
    defect(PLUGIN, "Cilium on the workers only", plugin("k8s-app", "cilium", tolerations=None), observed="6", alone=True, pods=True),
    defect(PLUGIN, "a node without a network", plugin("k8s-app", "cilium"), observed="NetworkUnavailable", alone=True, pods=True, arrange=unavailable),
    near_miss(PLUGIN, "Cilium on every node, which is simulated", plugin("k8s-app", "cilium"), verdict=UNKNOWN, alone=True, pods=True),
    near_miss(PLUGIN, "flannel with Calico's policies", plugin("k8s-app", "canal"), plugin("app", "flannel"), verdict=UNKNOWN, alone=True, pods=True),
    near_miss(PLUGIN, "Amazon's plugin with its policy agent", plugin("k8s-app", "aws-node", VPC_AGENT), verdict=UNKNOWN, alone=True, pods=True),
    near_miss(PLUGIN, "nothing that is known", verdict=UNKNOWN, alone=True),
]  # fmt: skip

BGP = "network-policy.bgp-routing"
PREFIXES = {"subjects": {"bgp_prefixes": ["192.0.2.0/24"]}}


def metallb(name: str, address: str, **spec: Any) -> Raw:
    """A BGP peer of MetalLB, for one node."""
    only = {"nodeSelectors": [{"matchLabels": {"kubernetes.io/hostname": "node-0"}}]}
    return custom("metallb.io/v1beta2", "BGPPeer", name, {"peerAddress": address, "password": "x", **only, **spec})


def session(name: str, peer: str, state: str) -> Raw:
    """What MetalLB reports about a session."""
    status = {"node": "node-0", "peer": peer, "bgpStatus": state}
    return named("frrk8s.metallb.io/v1beta1", "BGPSessionState", name, status=status)


def pool(*addresses: str) -> Raw:
    """Addresses that MetalLB announces."""
    return custom("metallb.io/v1beta1", "IPAddressPool", "pool", {"addresses": list(addresses)})


PEERS = (metallb("one", "198.51.100.1"), metallb("two", "198.51.100.2"))
UP = (session("one", "198.51.100.1", "Established"), session("two", "198.51.100.2", "Established"))


def cilium_bgp(state: str, **peer_config: Any) -> tuple[Raw, ...]:
    """Two BGP peers of one node, as Cilium declares and reports them."""
    peers = [{"name": n, "peerAddress": f"198.51.100.{n}", "peerConfigRef": {"name": "tor"}} for n in ("1", "2")]
    spec = {
        "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": "node-0"}},
        "bgpInstances": [{"name": "i", "peers": peers}],
    }
    reported = [{"name": n, "peeringState": state} for n in ("1", "2")]
    node = named(
        "cilium.io/v2", "CiliumBGPNodeConfig", "node-0", status={"bgpInstances": [{"name": "i", "peers": reported}]}
    )
    return (
        custom("cilium.io/v2", "CiliumBGPClusterConfig", "bgp", spec),
        custom("cilium.io/v2", "CiliumBGPPeerConfig", "tor", peer_config),
        node,
    )


def calico_bgp(state: str, **spec: Any) -> tuple[Raw, ...]:
    """Two BGP peers of one node, as Calico declares and reports them."""
    peers = [
        custom("crd.projectcalico.org/v1", "BGPPeer", f"p{n}", {"node": "node-0", "peerIP": f"198.51.100.{n}", **spec})
        for n in (1, 2)
    ]
    reported = [{"peerIP": f"198.51.100.{n}", "state": state} for n in (1, 2)]
    status = named(
        "crd.projectcalico.org/v1",
        "CalicoNodeStatus",
        "node-0",
        spec={"node": "node-0"},
        status={"bgp": {"peersV4": reported}},
    )
    return (*peers, status)


PASSWORD = {"secretKeyRef": {"name": "bgp", "key": "password"}}

ROUTING = [
    defect(BGP, "a session is down", alone=True, observed="Active", arrange=customs(*PEERS, UP[0], session("two", "198.51.100.2", "Active"))),
    defect(BGP, "no password", alone=True, observed="none", arrange=customs(PEERS[0], metallb("two", "198.51.100.2", password=None), *UP)),
    defect(BGP, "one peer", alone=True, observed="Node node-0: 198.51.100.1", arrange=customs(PEERS[0], UP[0])),
    defect(BGP, "a prefix that nobody declared", alone=True, observed="203.0.113.0-203.0.113.9", policy=PREFIXES, arrange=customs(*PEERS, *UP, pool("192.0.2.0/25", "203.0.113.0-203.0.113.9"))),
    defect(BGP, "Cilium, without a secret", alone=True, observed="none", arrange=customs(*cilium_bgp("established"))),
    defect(BGP, "Calico, idle", alone=True, observed="Idle", arrange=customs(*calico_bgp("Idle", password=PASSWORD))),
    near_miss(BGP, "no BGP", alone=True, verdict=NA),
    near_miss(BGP, "two sessions and declared prefixes", alone=True, policy=PREFIXES, arrange=customs(*PEERS, *UP, pool("192.0.2.0/25", "192.0.2.128-192.0.2.200"))),
    near_miss(BGP, "Cilium, both up", alone=True, arrange=customs(*cilium_bgp("established", authSecretRef="bgp"))),
    near_miss(BGP, "Calico, both up", alone=True, arrange=customs(*calico_bgp("Established", password=PASSWORD))),
    near_miss(BGP, "no status is published", alone=True, verdict=UNKNOWN, arrange=customs(*PEERS)),
]  # fmt: skip

CASES: list[Case] = [*DEFAULTS, *ISOLATION, *POLICIES, *ZERO_TRUST, *AGENTS, *SEGMENTATION, *PLUGINS, *ROUTING]
