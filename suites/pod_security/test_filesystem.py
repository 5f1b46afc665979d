"""What containers may write to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, Workload
from suites.pod_security.linux import only_on_linux

READ_ONLY = frozenset({"configMap", "secret", "downwardAPI", "projected", "image"})
"""Volumes that no container can write to, whatever its mount says."""

STORAGE_READS = ("persistentvolumeclaims", "persistentvolumes", "csidrivers.storage.k8s.io")


@readiness("pod-security.read-only-root-filesystem", severity="high")
def test_root_filesystems_are_read_only(workload: Workload, findings: Findings) -> None:
    """Every container mounts its root filesystem read-only.

    Why: an intruder cannot leave tools behind or change the program in a filesystem that cannot be written.
    How: securityContext.readOnlyRootFilesystem must be true on each container; absent means false.
    Fix: set `readOnlyRootFilesystem: true` and mount an emptyDir where the program has to write.
    Does not prove: that mounted volumes cannot be written.
    """
    only_on_linux(workload, findings)
    for container in workload.containers:
        value = container.own.get("readOnlyRootFilesystem")
        findings.expect(value is True, container, expected="readOnlyRootFilesystem: true", observed=value)


@readiness("pod-security.fs-group-file-access", severity="medium", reads=STORAGE_READS)
def test_fs_group_opens_the_volumes(daemon_set: Workload, findings: Findings, inventory: Reader) -> None:
    """A pod-level fsGroup gives the non-root user access to the volumes it writes.

    Why: without a group of its own on its volumes, a non-root container cannot write, and somebody makes it root
    again.
    How: securityContext.fsGroup of the DaemonSet under assessment is set and not 0, and every volume that a container
    mounts for writing honours it: emptyDir, local volumes and CSI volumes whose driver's fsGroupPolicy says so.
    hostPath and NFS never do: there the modes of the files decide, which are not seen from here, so that is not
    assessed.
    Fix: set `securityContext: {fsGroup: 65534}`; for hostPath data fix the ownership on the node or use
    supplementalGroups.
    Does not prove: that the program writes where the volumes are.
    """
    only_on_linux(daemon_set, findings)
    volumes = _writable_volumes(daemon_set)
    if not volumes:
        findings.not_applicable("no container mounts a volume for writing")
    group = (daemon_set.pod_spec.get("securityContext") or {}).get("fsGroup")
    findings.expect(
        bool(group),
        f"{daemon_set.pod_spec_path}.securityContext.fsGroup",
        expected="a group other than 0",
        observed=group,
    )
    policies = inventory.derive(fs_group_policies)
    claims = inventory.derive(volumes_of_claims)
    closed = [name for name, raw in volumes.items() if not _honours(raw, daemon_set.namespace, policies, claims)]
    if closed:
        findings.not_assessed(
            f"fsGroup is not known to act on {', '.join(closed)}; the modes of its files are not seen here"
        )


def fs_group_policies(reader: Reader) -> Mapping[str, str]:
    """The fsGroupPolicy of each CSI driver, by the driver's name."""
    return {
        raw["metadata"]["name"]: str((raw.get("spec") or {}).get("fsGroupPolicy") or "ReadWriteOnceWithFSType")
        for raw in reader.objects("csidrivers.storage.k8s.io")
    }


def volumes_of_claims(reader: Reader) -> Mapping[tuple[str, str], Raw]:
    """The spec of the PersistentVolume that each claim is bound to, by the claim's namespace and name."""
    specs = {raw["metadata"]["name"]: raw.get("spec") or {} for raw in reader.objects("persistentvolumes")}
    found = {}
    for raw in reader.objects("persistentvolumeclaims"):
        metadata = raw["metadata"]
        name = (raw.get("spec") or {}).get("volumeName")
        if name in specs:
            found[(str(metadata.get("namespace", "")), str(metadata["name"]))] = specs[name]
    return found


def _writable_volumes(workload: Workload) -> dict[str, Raw]:
    mounted = {
        str(mount.get("name"))
        for container in workload.containers
        for mount in container.raw.get("volumeMounts") or ()
        if not mount.get("readOnly")
    }
    volumes: Iterable[Raw] = workload.pod_spec.get("volumes") or ()
    return {str(raw["name"]): raw for raw in volumes if raw["name"] in mounted and not READ_ONLY & raw.keys()}


def _honours(volume: Raw, namespace: str, policies: Mapping[str, str], claims: Mapping[tuple[str, str], Raw]) -> bool:
    if "emptyDir" in volume:
        return True
    if "csi" in volume:
        return policies.get(str(volume["csi"].get("driver"))) == "File"
    claim = str((volume.get("persistentVolumeClaim") or {}).get("claimName") or "")
    spec = claims.get((namespace, claim), {})
    if "local" in spec:
        return True
    source = spec.get("csi") or {}
    policy = policies.get(str(source.get("driver")))
    alone = set(spec.get("accessModes") or ()) <= {"ReadWriteOnce", "ReadWriteOncePod"} and bool(source.get("fsType"))
    return policy == "File" or (policy == "ReadWriteOnceWithFSType" and alone)
