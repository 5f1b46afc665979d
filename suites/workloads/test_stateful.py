"""Whether what keeps data runs as what keeps data."""

from __future__ import annotations

from collections.abc import Mapping

from fixtures.readiness import Findings, readiness
from fixtures.subjects import Container, Raw, Reader, Workload
from fixtures.subjects.declared import SERVICES, image_name

CLAIMS = "persistentvolumeclaims"
SINGLE = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
LOOSE = frozenset({"Deployment", "Rollout", "Pod"})
"""The kinds whose replicas have no disk of their own."""

DATA_PATHS = {
    "postgres": "/var/lib/postgresql",
    "postgresql": "/var/lib/postgresql",
    "mysql": "/var/lib/mysql",
    "mariadb": "/var/lib/mysql",
    "mongo": "/data/db",
    "mongodb": "/data/db",
    "redis": "/data",
    "valkey": "/data",
    "kafka": "/var/lib/kafka",
    "rabbitmq": "/var/lib/rabbitmq",
    "elasticsearch": "/usr/share/elasticsearch/data",
    "opensearch": "/usr/share/opensearch/data",
    "etcd": "/var/lib/etcd",
}
"""Images of well-known data stores and where they keep their data; Bitnami's keep it below /bitnami."""


@readiness("workloads.stateful-as-statefulset", severity="medium", reads=(CLAIMS,))
def test_stateful_applications_are_stateful_sets(workload: Workload, findings: Findings, inventory: Reader) -> None:
    """Stateful applications run as StatefulSets or under their operator.

    Why: a Deployment gives no replica a disk of its own: two pods fight for one volume, and an update waits for ever
    for a disk that the old pod holds.
    How: no Deployment, Rollout or bare Pod mounts a claim that one node at a time may write, unless it is a
    Deployment of one replica that never has two (Recreate, or maxSurge 0); and no image of a known data store runs in
    one with an emptyDir where its data lives. What a custom resource owns runs under its operator.
    Fix: turn it into a StatefulSet with volumeClaimTemplates, or hand it to an operator.
    Does not prove: that the data survives the loss of its volume.
    """
    claims = _claim_names(workload)
    stores = [one for one in workload.containers if one.role == "containers" and image_name(one.image) in DATA_PATHS]
    if not claims and not stores and not workload.spec.get("volumeClaimTemplates"):
        findings.not_applicable("it mounts no claim and runs no known data store")
    if workload.kind not in LOOSE:
        findings.expect(True, "kind", expected="no Deployment, Rollout or bare Pod", observed=workload.kind)
        return
    known = inventory.derive(access_modes)
    for claim in claims:
        modes = known.get((workload.namespace, claim))
        if modes is None:
            findings.not_assessed(f"the claim {claim} does not exist, so that its access modes are unknown")
        shared = not set(modes) <= SINGLE
        findings.expect(
            shared or _never_two(workload), f"claim {claim}", expected="a StatefulSet", observed=_seen(workload, modes)
        )
    for store in stores:
        lost = _empty_mount(workload, store, DATA_PATHS[image_name(store.image)])
        findings.expect(not lost, store, expected="data on a claim", observed=f"an emptyDir at {lost}")


@readiness("workloads.stateful-sets-governed", severity="medium", reads=(SERVICES,))
def test_stateful_sets_have_their_headless_service(
    stateful_set: Workload, findings: Findings, inventory: Reader
) -> None:
    """Every StatefulSet has its governing headless Service.

    Why: the names by which the members of a data store find each other exist only through that Service.
    How: spec.serviceName names a Service of the same namespace whose clusterIP is None.
    Fix: create the Service with `clusterIP: None` and the selector of the pods, and name it in `serviceName`.
    Does not prove: that the members use their names.
    """
    name = stateful_set.spec.get("serviceName")
    services = inventory.derive(cluster_addresses)
    address = services.get((stateful_set.namespace, str(name)))
    observed = f"clusterIP {address}" if address else f"no Service {name!r}" if name else None
    findings.expect(address == "None", "spec.serviceName", expected="a headless Service", observed=observed)


def access_modes(reader: Reader) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The access modes of every claim, by namespace and name."""
    return {
        (str(raw["metadata"].get("namespace", "")), str(raw["metadata"]["name"])): tuple(
            (raw.get("spec") or {}).get("accessModes") or ()
        )
        for raw in reader.objects(CLAIMS)
    }


def cluster_addresses(reader: Reader) -> Mapping[tuple[str, str], str]:
    """The clusterIP of every Service, by namespace and name; "" where it has none."""
    return {
        (str(raw["metadata"].get("namespace", "")), str(raw["metadata"]["name"])): str(
            (raw.get("spec") or {}).get("clusterIP") or ""
        )
        for raw in reader.objects(SERVICES)
    }


def _claim_names(workload: Workload) -> list[str]:
    volumes = workload.pod_spec.get("volumes") or ()
    return [str(raw["persistentVolumeClaim"]["claimName"]) for raw in volumes if raw.get("persistentVolumeClaim")]


def _never_two(workload: Workload) -> bool:
    if workload.kind != "Deployment" or workload.replicas > 1:
        return False
    strategy = workload.spec.get("strategy") or {}
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge")
    return strategy.get("type") == "Recreate" or str(surge) in ("0", "0%")


def _seen(workload: Workload, modes: tuple[str, ...]) -> str:
    if workload.kind == "Pod":
        return f"a bare Pod with a claim that is {', '.join(modes)}"
    kind = (workload.spec.get("strategy") or {}).get("type") or "RollingUpdate"
    return f"{workload.replicas} replicas, {kind}, of a claim that is {', '.join(modes)}"


def _empty_mount(workload: Workload, container: Container, path: str) -> str:
    volumes: list[Raw] = workload.pod_spec.get("volumes") or []
    empty = {str(raw["name"]) for raw in volumes if raw.get("emptyDir") is not None}
    places = [str(one.get("mountPath")) for one in container.raw.get("volumeMounts") or () if one.get("name") in empty]
    return next((place for place in places if _holds(place, path) or _holds(place, "/bitnami")), "")


def _holds(mount: str, path: str) -> bool:
    inside, outside = mount.rstrip("/") + "/", path + "/"
    return inside.startswith(outside) or outside.startswith(inside)
