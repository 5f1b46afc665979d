"""Planted defects and near misses of the area pod-security: system calls, files, resources."""

from __future__ import annotations

from collections.abc import Callable

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    container,
    cron_job,
    daemon_set,
    deployment,
    idle,
    named,
)
from tests.proofs.case import Case, Raw, defect, near_miss
from tests.proofs.cases_pod_security import OPERATOR, PLAIN, PRIVILEGED, debugged, windows, with_init

SECCOMP = "pod-security.seccomp-profiles"
OPERATOR_SECCOMP = "pod-security.operator-seccomp-runtime-default"
UNCONFINED = {"seccompProfile": {"type": "Unconfined"}}
NO_PROFILE = {"seccompProfile": None}

SYSTEM_CALLS = [
    defect(
        SECCOMP,
        "one container overrides its pod",
        idle(deployment("web", container(), container(name="side", securityContext=UNCONFINED))),
        observed="containers[side]",
    ),
    defect(
        SECCOMP,
        "a privileged container ignores it",
        idle(deployment("web", container(securityContext=PRIVILEGED))),
        observed="privileged",
    ),
    defect(
        SECCOMP,
        "one is Unconfined and one says nothing",
        idle(
            deployment(
                "web",
                container(),
                container(name="side", securityContext=UNCONFINED),
                pod={"securityContext": NO_PROFILE},
            )
        ),
        observed="Unconfined",
    ),
    near_miss(
        SECCOMP,
        "the container filters where the pod does not",
        idle(
            deployment(
                "web",
                container(securityContext={"seccompProfile": {"type": "Localhost", "localhostProfile": "web.json"}}),
                pod={"securityContext": UNCONFINED},
            )
        ),
    ),
    near_miss(
        SECCOMP,
        "nothing is said, so that the kubelet decides",
        idle(deployment(pod={"securityContext": NO_PROFILE})),
        verdict=Verdict.NOT_ASSESSED,
    ),
    defect(
        OPERATOR_SECCOMP,
        "nothing is said",
        idle(deployment(pod={"securityContext": NO_PROFILE})),
        observed="not set",
        policy=OPERATOR,
    ),
    near_miss(OPERATOR_SECCOMP, "the pod's profile", idle(deployment()), policy=OPERATOR),
    defect(
        OPERATOR_SECCOMP,
        "a privileged container ignores it",
        idle(deployment("web", container(securityContext=PRIVILEGED))),
        observed="privileged",
        policy=OPERATOR,
    ),
]

READ_ONLY = "pod-security.read-only-root-filesystem"
FS_GROUP = "pod-security.fs-group-file-access"


def writing(volume: Raw, *, read_only: bool = False, **security: object) -> Raw:
    """A DaemonSet that mounts one volume."""
    mount = {"name": "data", "mountPath": "/data", "readOnly": read_only}
    pod = {"volumes": [{"name": "data", **volume}], "securityContext": security}
    return daemon_set("agent", container(volumeMounts=[mount]), pod=pod)


EMPTY: Raw = {"emptyDir": {}}
HOST_PATH: Raw = {"hostPath": {"path": "/var/lib/agent"}}
CLAIM: Raw = {"persistentVolumeClaim": {"claimName": "data"}}


def claimed(policy: str, mode: str = "ReadWriteMany", **source: Raw) -> tuple[Raw, ...]:
    """A claim that is bound to a volume of a CSI driver with the given fsGroupPolicy, or of another source."""
    driver = "{ns}.example"
    reference = {"namespace": "{ns}", "name": "data"}
    size = {"storage": "1Gi"}
    shared = {"accessModes": [mode], "storageClassName": ""}
    csi = {"csi": {"driver": driver, "volumeHandle": "1"}}
    return (
        named("storage.k8s.io/v1", "CSIDriver", driver, spec={"fsGroupPolicy": policy}),
        named(
            "v1",
            "PersistentVolume",
            "{ns}",
            spec={"capacity": size, "claimRef": reference, **shared, **(source or csi)},
        ),
        named(
            "v1",
            "PersistentVolumeClaim",
            "data",
            spec={"resources": {"requests": size}, "volumeName": "{ns}", **shared},
        ),
        writing(CLAIM),
    )


FORMATTED: Raw = {"driver": "{ns}.example", "volumeHandle": "1", "fsType": "ext4"}
NFS: Raw = {"server": "nfs.example", "path": "/data"}
ON_A_NODE: Raw = {
    "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}]}
}


def inline(policy: str) -> tuple[Raw, ...]:
    """A DaemonSet with an inline volume of a CSI driver with the given fsGroupPolicy."""
    spec = {"fsGroupPolicy": policy, "volumeLifecycleModes": ["Ephemeral"]}
    driver = named("storage.k8s.io/v1", "CSIDriver", "{ns}.example", spec=spec)
    return driver, idle(writing({"csi": {"driver": "{ns}.example"}}))


FILES = [
    defect(READ_ONLY, "the field is absent", idle(deployment("web", PLAIN)), observed="not set"),
    defect(
        READ_ONLY,
        "false in an init container",
        idle(with_init({"securityContext": {"readOnlyRootFilesystem": False}})),
        observed="initContainers[setup]",
    ),
    near_miss(
        READ_ONLY,
        "true, with a volume to write to",
        idle(
            deployment(
                "web",
                container(volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}]),
                pod={"volumes": [{"name": "tmp", "emptyDir": {}}]},
            )
        ),
    ),
    near_miss(READ_ONLY, "Windows", idle(windows()), verdict=Verdict.NOT_APPLICABLE),
    defect(FS_GROUP, "no group", idle(writing(EMPTY, fsGroup=None)), observed="not set"),
    defect(FS_GROUP, "group 0", idle(writing(EMPTY, fsGroup=0)), observed="0"),
    defect(FS_GROUP, "no group, on a hostPath", idle(writing(HOST_PATH, fsGroup=None)), observed="not set"),
    near_miss(FS_GROUP, "a group and an emptyDir", idle(writing(EMPTY))),
    near_miss(FS_GROUP, "a hostPath, whose modes are not seen", idle(writing(HOST_PATH)), verdict=Verdict.NOT_ASSESSED),
    near_miss(
        FS_GROUP,
        "a hostPath that is only read",
        idle(writing(HOST_PATH, read_only=True, fsGroup=None)),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    near_miss(
        FS_GROUP,
        "a ConfigMap, which is never written",
        idle(writing({"configMap": {"name": "settings"}}, fsGroup=None)),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    near_miss(FS_GROUP, "a shared volume whose driver applies the group", *claimed("File"), alone=True),
    near_miss(
        FS_GROUP,
        "a shared volume whose driver leaves the group out",
        *claimed("ReadWriteOnceWithFSType"),
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
    ),
    near_miss(
        FS_GROUP,
        "a disk of one node, with a filesystem",
        *claimed("ReadWriteOnceWithFSType", "ReadWriteOnce", csi=FORMATTED),
        alone=True,
    ),
    near_miss(
        FS_GROUP,
        "a disk of many nodes, with a filesystem",
        *claimed("ReadWriteOnceWithFSType", csi=FORMATTED),
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
    ),
    near_miss(
        FS_GROUP,
        "a disk of one node, without a filesystem's name",
        *claimed("ReadWriteOnceWithFSType", "ReadWriteOnce"),
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
    ),
    near_miss(
        FS_GROUP, "a local volume", *claimed("None", local={"path": "/mnt/1"}, nodeAffinity=ON_A_NODE), alone=True
    ),
    near_miss(
        FS_GROUP,
        "a disk of one node whose driver leaves the group out",
        *claimed("None", "ReadWriteOnce", csi=FORMATTED),
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
    ),
    near_miss(FS_GROUP, "NFS", *claimed("File", nfs=NFS), verdict=Verdict.NOT_ASSESSED, alone=True),
    near_miss(FS_GROUP, "an inline volume whose driver applies the group", *inline("File"), alone=True),
    near_miss(
        FS_GROUP,
        "an inline volume whose driver does not",
        *inline("None"),
        verdict=Verdict.NOT_ASSESSED,
        alone=True,
    ),
]

LIMITS = "pod-security.resource-limits"
NO_CPU_LIMIT = container(resources={"limits": {"cpu": None}})
NO_RESOURCES = container(resources=None)
FULL: Raw = {"cpu": "100m", "memory": "64Mi"}
RANGE = named(
    "v1", "LimitRange", "defaults", spec={"limits": [{"type": "Container", "default": FULL, "defaultRequest": FULL}]}
)
HALF_RANGE = named(
    "v1",
    "LimitRange",
    "half",
    spec={"limits": [{"type": "Container", "default": {"memory": "64Mi"}}, {"type": "Pod", "max": FULL}]},
)


def ranged(api: Api, namespace: str) -> Callable[[], None]:
    """Create a LimitRange when the pods are there already."""
    api.create(f"/api/v1/namespaces/{namespace}/limitranges", RANGE)
    return lambda: None


def unranged(api: Api, namespace: str) -> Callable[[], None]:
    """Delete the LimitRange when the pods are there already."""
    api.delete(f"/api/v1/namespaces/{namespace}/limitranges/defaults")
    return lambda: None


RESOURCES = [
    defect(LIMITS, "no CPU limit", idle(deployment("web", NO_CPU_LIMIT)), observed="no limits.cpu"),
    defect(
        LIMITS, "nothing on an init container", idle(with_init({"resources": None})), observed="initContainers[setup]"
    ),
    defect(
        LIMITS,
        "no memory limit is never the profile's choice",
        idle(deployment("web", container(resources={"limits": None}))),
        observed="no limits.memory",
        policy={"subjects": {"cpu_limits": False}},
    ),
    defect(
        LIMITS,
        "a LimitRange came after the pods",
        deployment("web", NO_RESOURCES),
        observed="no requests.cpu",
        pods=True,
        arrange=ranged,
    ),
    defect(
        LIMITS,
        "a LimitRange with half of the defaults",
        HALF_RANGE,
        idle(deployment("web", NO_RESOURCES, replicas=0)),
        observed="no requests.cpu, limits.cpu",
    ),
    near_miss(
        LIMITS,
        "limits alone are the requests as well",
        idle(deployment("web", container(resources={"requests": None}))),
    ),
    near_miss(LIMITS, "a LimitRange fills in the live pods", RANGE, deployment("web", NO_RESOURCES), pods=True),
    near_miss(LIMITS, "a LimitRange will fill in a CronJob's pods", RANGE, cron_job("report", NO_RESOURCES)),
    near_miss(
        LIMITS,
        "the pod as a whole is bounded",
        idle(deployment("web", NO_RESOURCES, pod={"resources": {"requests": FULL, "limits": FULL}})),
    ),
    near_miss(
        LIMITS,
        "no CPU limit where the policy file drops it",
        idle(deployment("web", NO_CPU_LIMIT)),
        policy={"subjects": {"cpu_limits": False}},
    ),
    near_miss(LIMITS, "a debugging container, which can have none", deployment(), pods=True, arrange=debugged({})),
    near_miss(
        LIMITS,
        "live pods were filled in by a LimitRange that is gone",
        RANGE,
        deployment("web", NO_RESOURCES),
        pods=True,
        arrange=unranged,
    ),
]

CASES: list[Case] = [*SYSTEM_CALLS, *FILES, *RESOURCES]
