"""Planted defects and near misses of connectivity, name service and endpoints, on a cluster whose pods run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from tests.kind.firewall import filtered
from tests.kind.meddling import Meddler
from tests.kind.mutations import changed
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
Undo = Callable[[], None]
CONNECTIVITY = "infrastructure.node-network-connectivity"


DNS_EVERYWHERE = "infrastructure.dns-resolution"
CLUSTER_DNS = "dns.cluster-dns"
LOSS = "dns.name-server-loss"
RESOLVE = "dns.service-endpoints-resolve"
DISCOVERY = "dns.service-discovery"
NAME_SERVERS = {"labelSelector": "k8s-app=kube-dns"}
SCALE = "/apis/apps/v1/namespaces/kube-system/deployments/coredns/scale"


def nobody_left(api: Api, namespace: str) -> Undo:
    """When one name server goes, all go, and come back ten seconds later: replicas that share their fate."""
    replicas = api.get(SCALE)["spec"]["replicas"]
    back: list[threading.Timer] = []

    def react(event: str, pod: Raw) -> None:
        if "deletionTimestamp" in pod["metadata"] and not back:
            api.patch(SCALE, {"spec": {"replicas": 0}})
            back.append(threading.Timer(10, lambda: api.patch(SCALE, {"spec": {"replicas": replicas}})))
            back[0].start()

    meddler = Meddler(api, "/api/v1/namespaces/kube-system/pods", NAME_SERVERS, react)

    def undo() -> None:
        for timer in back:
            timer.join()
        api.patch(SCALE, {"spec": {"replicas": replicas}})
        meddler.stop()

    return undo


def slice_of(service: str, address: str) -> Raw:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "stale", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


def service(name: str, **spec: Any) -> Raw:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **spec}}


NOBODY = {"selector": {"app": "nobody"}}


def budget(name: str, **labels: str) -> Raw:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{{ns}}-{name}", "namespace": "kube-system"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }


SLOW = {"thresholds": {"dns.latency-p95": 5}}
"""A machine that runs six nodes and more on two cores answers late; the proof is not about that."""

CASES: list[Case] = [
    defect(
        CONNECTIVITY,
        "UDP does not leave one node",
        observed="UDP of 1400 bytes: timeout",
        arrange=filtered("-p udp --dport 8082"),
        alone=True,
    ),
    defect(
        CONNECTIVITY,
        "a node swallows large packets",
        observed="64 KiB over TCP: timeout",
        arrange=filtered("-p tcp --dport 8081 -m length --length 1000:65535"),
        alone=True,
    ),
    near_miss(CONNECTIVITY, "another port is filtered", arrange=filtered("-p tcp --dport 8089"), alone=True),
    defect(
        DNS_EVERYWHERE,
        "every twentieth query from one node is lost",
        observed="queries failed (timeout",
        arrange=filtered("-p udp --dport 53 -m statistic --mode nth --every 20 --packet 0"),
        alone=True,
    ),
    defect(
        DNS_EVERYWHERE,
        "the external name does not exist",
        observed="no such name",
        policy={"subjects": {"external_name": "no-such-name.default.svc.cluster.local."}},
        alone=True,
    ),
    near_miss(
        DNS_EVERYWHERE,
        "multicast names are filtered, and a name is declared that exists",
        arrange=filtered("-p udp --dport 5353"),
        policy={"subjects": {"external_name": "kube-dns.kube-system.svc.cluster.local."}},
        alone=True,
    ),
    defect(
        CLUSTER_DNS,
        "a budget for pods of another name",
        budget("other", **{"k8s-app": "kube-dns-autoscaler"}),
        observed="none selects the pods",
        policy=SLOW,
        alone=True,
    ),
    defect(
        CLUSTER_DNS,
        "an external name that is not known",
        budget("dns", **{"k8s-app": "kube-dns"}),
        observed="no such name",
        policy={**SLOW, "subjects": {"external_name": "no-such-name.default.svc.cluster.local."}},
        alone=True,
    ),
    near_miss(
        CLUSTER_DNS, "two servers with a budget", budget("dns", **{"k8s-app": "kube-dns"}), policy=SLOW, alone=True
    ),
    defect(LOSS, "all name servers go with the first", observed="none for", arrange=nobody_left, alone=True),
    near_miss(LOSS, "one of two goes", policy={"thresholds": {"dns.loss-gap": 15}}, alone=True),
    defect(
        RESOLVE,
        "a Service that selects nothing for longer than it may",
        service("empty", **NOBODY),
        observed="/empty",
        policy={"thresholds": {"dns.empty-service": 0}},
        alone=True,
    ),
    defect(
        RESOLVE,
        "the headless Service publishes pods that are not ready",
        observed="the headless Service: 10.",
        alone=True,
        arrange=changed(
            "names",
            "op: 'add', path: '/spec/publishNotReadyAddresses', value: true",
            resource=("", "v1", "services"),
            only="object.metadata.name == 'headless'",
        ),
    ),
    near_miss(
        RESOLVE,
        "an empty Service that is new, and one that wants pods which are not ready",
        service("empty", **NOBODY),
        service("early", **NOBODY, publishNotReadyAddresses=True),
        alone=True,
    ),
    defect(
        DISCOVERY,
        "a slice with an address of no pod",
        service("web", **NOBODY),
        slice_of("web", "10.9.9.9"),
        observed="10.9.9.9 is listed and no ready pod",
        alone=True,
    ),
    near_miss(
        DISCOVERY,
        "a slice for a Service without a selector, beside a headless one without pods",
        service("outside"),
        slice_of("outside", "10.9.9.9"),
        service("none", **NOBODY, clusterIP="None"),
        alone=True,
    ),
]
