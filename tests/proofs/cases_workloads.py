"""Planted defects and near misses of the area workloads: rollout, kinds."""

from __future__ import annotations

import time
from collections.abc import Callable

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    bare_pod,
    container,
    cron_job,
    daemon_set,
    deployment,
    merge,
    named,
    service,
    stateful_set,
)
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.customs import customs

WEB = "Deployment {ns}/web"
AGENT = "DaemonSet {ns}/agent"
DEADLINE = 60.0
"""Seconds within which a controller must have acted."""

PENDING = container(resources={"requests": {"cpu": "1000"}, "limits": {"cpu": "1000"}})
"""A container that fits on no node."""

Undo = Callable[[], None]


def poll(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE} s"
        time.sleep(0.1)


def seen(api: Api, namespace: str) -> Undo:
    """Wait until the DaemonSet controller has counted the nodes of every DaemonSet and made its pods."""

    def counted() -> bool:
        sets = api.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets")["items"]
        return all(
            one["status"].get("observedGeneration") == one["metadata"]["generation"]
            and one["status"]["currentNumberScheduled"] == one["status"]["desiredNumberScheduled"]
            and one["status"].get("updatedNumberScheduled", 0) == one["status"]["desiredNumberScheduled"]
            for one in sets
        )

    poll(counted, "status of the DaemonSets")
    return lambda: None


def made(api: Api, namespace: str) -> Undo:
    """Wait until a controller has made a pod, be it ready or not."""
    poll(lambda: bool(api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]), "a pod")
    return lambda: None


STRATEGY = "workloads.deployment-strategies"
PROBED = "workloads.readiness-probes-behind-services"


def rolling(replicas: int, **how: object) -> Raw:
    """A Deployment with a rolling update."""
    return deployment(replicas=replicas, strategy={"type": "RollingUpdate", "rollingUpdate": how})


SCALED = named(
    "autoscaling/v2",
    "HorizontalPodAutoscaler",
    "web",
    spec={
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 6,
    },
)
PROBE: Raw = {"httpGet": {"path": "/ready", "port": 8080}}
LISTENS = container(ports=[{"containerPort": 8080, "name": "http"}])
PROBED_LISTENER = merge(LISTENS, {"readinessProbe": PROBE})
PROXY = container(name="proxy", ports=[{"containerPort": 15021}], readinessProbe=PROBE)

SERVING_SIDECAR = merge(PROBED_LISTENER, {"name": "side", "restartPolicy": "Always"})
ALL_AWAY: Raw = {"maxUnavailable": "lots"}


def argo(**strategy: Raw) -> Raw:
    """An Argo Rollout of two replicas."""
    return named("argoproj.io/v1alpha1", "Rollout", "web", spec={"replicas": 2, "strategy": strategy})


ROLLOUT = [
    defect(STRATEGY, "Recreate with two replicas", deployment(strategy={"type": "Recreate"}), observed="Recreate"),
    defect(STRATEGY, "every replica may be away", rolling(3, maxUnavailable="100%"), observed="100%"),
    defect(STRATEGY, "more may be away than the autoscaler keeps", rolling(4, maxUnavailable=2), SCALED, observed="2"),
    defect(
        STRATEGY, "a StatefulSet with OnDelete", stateful_set(updateStrategy={"type": "OnDelete"}), observed="OnDelete"
    ),
    defect(STRATEGY, "a DaemonSet with OnDelete", daemon_set(updateStrategy={"type": "OnDelete"}), observed="OnDelete"),
    defect(
        STRATEGY,
        "a DaemonSet that may be away everywhere",
        daemon_set(updateStrategy={"rollingUpdate": {"maxUnavailable": "100%"}}),
        observed="100%",
        pods=True,
    ),
    near_miss(STRATEGY, "the defaults", deployment()),
    near_miss(STRATEGY, "Recreate of a single replica", deployment(replicas=1, strategy={"type": "Recreate"})),
    near_miss(STRATEGY, "99 % of two is one, rounded down", rolling(2, maxUnavailable="99%")),
    near_miss(STRATEGY, "a DaemonSet's defaults", daemon_set(), pods=True),
    defect(PROBED, "no probe", deployment("web", LISTENS), service(), observed="main"),
    defect(
        PROBED,
        "only the proxy beside the serving container has one",
        deployment("web", LISTENS, PROXY),
        service(ports=[{"port": 80, "targetPort": "http"}]),
        observed="container main",
    ),
    near_miss(
        PROBED,
        "the serving container has one and the other has none",
        deployment("web", PROBED_LISTENER, container(name="side")),
        service(),
    ),
    near_miss(
        PROBED,
        "no container declares the port and one has a probe",
        deployment("web", container(readinessProbe=PROBE), container(name="side")),
        service(),
    ),
    near_miss(
        PROBED, "no Service selects it", deployment("web", LISTENS), service("api"), verdict=Verdict.NOT_APPLICABLE
    ),
    near_miss(
        PROBED,
        "a Service for members that are not ready yet",
        deployment("web", LISTENS),
        service(publishNotReadyAddresses=True),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    near_miss(PROBED, "a CronJob", cron_job("web", LISTENS), service(), verdict=Verdict.NOT_APPLICABLE),
    defect(
        STRATEGY,
        "OnDelete of a single replica",
        stateful_set(replicas=1, updateStrategy={"type": "OnDelete"}),
        observed="OnDelete",
    ),
    defect(
        STRATEGY,
        "84 % of six nodes is all of them, rounded up",
        daemon_set(updateStrategy={"rollingUpdate": {"maxUnavailable": "84%"}}),
        observed="84%",
        pods=True,
    ),
    defect(STRATEGY, "a Rollout without a strategy", observed="not set", alone=True, arrange=customs(argo())),
    defect(STRATEGY, "a Rollout's canary", observed="lots", alone=True, arrange=customs(argo(canary=ALL_AWAY))),
    near_miss(STRATEGY, "a Rollout in blue and green", alone=True, arrange=customs(argo(blueGreen={}))),
    near_miss(STRATEGY, "a Rollout's canary with its defaults", alone=True, arrange=customs(argo(canary={}))),
    near_miss(STRATEGY, "a single replica may be away", rolling(1, maxUnavailable=1, maxSurge=0)),
    near_miss(
        PROBED, "a sidecar serves and has one", deployment("web", pod={"initContainers": [SERVING_SIDECAR]}), service()
    ),
    near_miss(
        PROBED,
        "a headless Service without ports, one container with a probe",
        deployment("web", container(ports=[{"containerPort": 9}]), container(name="side", readinessProbe=PROBE)),
        service(clusterIP="None", ports=None),
    ),
]

STATEFUL = "workloads.stateful-as-statefulset"
GOVERNED = "workloads.stateful-sets-governed"


def claim(mode: str) -> Raw:
    """A claim named data."""
    return named(
        "v1",
        "PersistentVolumeClaim",
        "data",
        spec={"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}},
    )


MOUNTED: Raw = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}


def store(image: str, path: str) -> Raw:
    """A Deployment of a data store with an emptyDir at a path."""
    one = container(image=image, volumeMounts=[{"name": "data", "mountPath": path}])
    return deployment("web", one, replicas=1, pod={"volumes": [{"name": "data", "emptyDir": {}}]})


TEMPLATE = named("v1", "PersistentVolumeClaim", "data", spec=claim("ReadWriteOnce")["spec"])
OWNER: Raw = {
    "apiVersion": "data.example/v1",
    "kind": "Database",
    "name": "db",
    "uid": "b0a7e1c6-2f5f-4a4c-9d0e-0c2d8c7f6a10",
}
OWNED = merge(deployment(pod=MOUNTED), {"metadata": {"ownerReferences": [{**OWNER, "controller": True}]}})
HEADLESS = service("db", clusterIP="None")

WAITS = container(name="wait", image="postgres:17", volumeMounts=[{"name": "data", "mountPath": "/var/lib/postgresql"}])

STATE = [
    defect(
        STATEFUL,
        "one replica that an update doubles",
        claim("ReadWriteOnce"),
        deployment(replicas=1, pod=MOUNTED),
        observed="RollingUpdate",
    ),
    defect(
        STATEFUL,
        "two replicas of one disk",
        claim("ReadWriteOncePod"),
        deployment(strategy={"type": "Recreate"}, pod=MOUNTED),
        observed="2 replicas",
    ),
    defect(STATEFUL, "a bare Pod", claim("ReadWriteOnce"), bare_pod(**MOUNTED), observed="bare Pod"),
    defect(
        STATEFUL,
        "a database in an emptyDir",
        store("registry.example:5000/library/postgres:17@sha256:" + 64 * "a", "/var/lib/postgresql/data"),
        observed="/var/lib/postgresql/data",
    ),
    near_miss(
        STATEFUL,
        "one replica, Recreate",
        claim("ReadWriteOnce"),
        deployment(replicas=1, strategy={"type": "Recreate"}, pod=MOUNTED),
    ),
    near_miss(
        STATEFUL,
        "one replica that is never doubled",
        claim("ReadWriteOnce"),
        deployment(replicas=1, strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, pod=MOUNTED),
    ),
    near_miss(
        STATEFUL, "a disk that many nodes may write", claim("ReadWriteMany"), deployment(replicas=3, pod=MOUNTED)
    ),
    near_miss(STATEFUL, "a StatefulSet", stateful_set(volumeClaimTemplates=[TEMPLATE])),
    near_miss(STATEFUL, "an operator's Deployment", claim("ReadWriteOnce"), OWNED, arrange=made),
    near_miss(
        STATEFUL,
        "an exporter beside a database elsewhere",
        store("registry.example/postgres-exporter:1", "/var/lib/postgresql/data"),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    near_miss(STATEFUL, "a cache with an emptyDir for something else", store("redis:7", "/tmp")),
    near_miss(STATEFUL, "a claim that does not exist", deployment(pod=MOUNTED), verdict=Verdict.NOT_ASSESSED),
    defect(GOVERNED, "no Service", stateful_set(), observed="no Service"),
    defect(GOVERNED, "a Service with an address", stateful_set(), service("db"), observed="clusterIP 10."),
    near_miss(GOVERNED, "its headless Service", stateful_set(), HEADLESS),
    defect(STATEFUL, "a data store below the mount of an emptyDir", store("mongo:8", "/data"), observed="/data"),
    defect(STATEFUL, "Bitnami's path", store("bitnami/redis:7", "/bitnami/redis/data"), observed="/bitnami"),
    near_miss(
        STATEFUL,
        "a client of the data store that waits for it",
        deployment("web", pod={"initContainers": [WAITS], "volumes": [{"name": "data", "emptyDir": {}}]}),
        verdict=Verdict.NOT_APPLICABLE,
    ),
]

NODE_SERVICES = "workloads.node-services-as-daemonset"
AGENTS = "workloads.node-agents-complete"


def on_host(path: str) -> Raw:
    """A Deployment that mounts a path of its node."""
    return deployment(replicas=0, pod={"volumes": [{"name": "host", "hostPath": {"path": path}}]})


def one_per_host(replicas: int, *, host: bool = True) -> Raw:
    """A Deployment in the host's network, spread over hosts."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return deployment(replicas=replicas, pod={"hostNetwork": host, "affinity": affinity})


DECLARED: Raw = {"subjects": {"node_agents": ["{ns}/agent"]}}

HOST_NETWORK: Raw = {"hostNetwork": True}
NODES = [
    defect(NODE_SERVICES, "reads the node's logs", on_host("/var/log/pods"), observed="/var/log/pods"),
    defect(NODE_SERVICES, "mounts the whole node", on_host("/"), observed="hostPath /"),
    defect(
        NODE_SERVICES,
        "the container runtime by its old name",
        on_host("/var/run/containerd/containerd.sock"),
        observed="containerd.sock",
    ),
    defect(NODE_SERVICES, "one replica for each worker in the host's network", one_per_host(6), observed="6 replicas"),
    defect(
        NODE_SERVICES, "pods that fit on no node", daemon_set("agent", PENDING), observed="numberReady: 0", arrange=seen
    ),
    near_miss(NODE_SERVICES, "a path that only begins alike", on_host("/var/logs")),
    near_miss(NODE_SERVICES, "two replicas on two hosts for availability", one_per_host(2)),
    near_miss(NODE_SERVICES, "a complete DaemonSet", daemon_set(), pods=True),
    defect(
        AGENTS, "a name that no DaemonSet has", daemon_set("agents"), observed="none", policy=DECLARED, arrange=seen
    ),
    defect(
        AGENTS,
        "pods that fit on no node",
        daemon_set("agent", PENDING),
        observed="numberReady: 0",
        policy=DECLARED,
        arrange=seen,
    ),
    near_miss(AGENTS, "complete", daemon_set(), policy=DECLARED, pods=True),
    near_miss(AGENTS, "none is declared", verdict=Verdict.NOT_APPLICABLE),
    near_miss(NODE_SERVICES, "one replica for each worker, not in the host's network", one_per_host(6, host=False)),
    near_miss(NODE_SERVICES, "many replicas in the host's network, anywhere", deployment(replicas=6, pod=HOST_NETWORK)),
]

CASES: list[Case] = [*ROLLOUT, *STATE, *NODES]
