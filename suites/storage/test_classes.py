"""Storage classes that workloads can rely on."""

from __future__ import annotations

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, PersistentVolume, Reader, StorageClass, WholeCluster
from fixtures.subjects.storage import CLASSES, VOLUMES
from suites.storage.encryption import classes_by_name

CSI_NODES = "csinodes.storage.k8s.io"
CLAIMS = "persistentvolumeclaims"
NO_PROVISIONER = "kubernetes.io/no-provisioner"

IN_PROCESS = ("rancher.io/local-path", "k8s.io/minikube-hostpath", "microk8s.io/hostpath", "docker.io/hostpath")
"""Provisioners that are no CSI drivers, so that no node registers them."""


@readiness("storage.storage-classes", severity="medium", reads=(CLASSES, CSI_NODES, VOLUMES, CLAIMS, "nodes"))
def test_storage_classes_are_usable(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """There are two distinct storage classes, one default, each with a running driver.

    Why: Without a default, claims stay Pending; with two, which one is used depends on their age; without a driver
    on the nodes no volume is attached.
    How: StorageClasses that differ in provisioner or parameters; the default-class annotation; the driver of each
    class in CSINode of some node, or a volume that its provisioner made. Not assessed where nodes are simulated,
    and for provisioners that are no CSI drivers.
    Fix: Define a fast and a standard class with volumeBindingMode: WaitForFirstConsumer, and mark one as the
    default.
    Does not prove: That a volume is provisioned in time (storage.dynamic-provisioning), or what reclaimPolicy:
    Delete costs.
    """
    classes = list(inventory.derive(classes_by_name).values())
    claims = [one for one in inventory.objects(CLAIMS) if policy.judges(one["metadata"]["namespace"])]
    if policy.subjects.stateless and not inventory.objects(VOLUMES) and not claims:
        findings.not_applicable("subjects.stateless of the policy file declares it; there is no volume and no claim")
    kinds = {(one.driver, tuple(sorted(one.parameters.items()))) for one in classes}
    names = [one.short_name for one in classes]
    findings.expect(len(kinds) >= 2, "StorageClasses", expected="2 or more that differ", observed=names)
    defaults = [one.short_name for one in classes if one.is_default]
    findings.expect(len(defaults) == 1, "default StorageClass", expected="exactly one", observed=defaults)
    unseen = [one for one in classes if one.provisioner != NO_PROVISIONER and not _runs(one, inventory)]
    if unseen and any(Node(raw).simulated for raw in inventory.objects("nodes")):
        findings.not_assessed("on simulated nodes no driver registers itself")
    for one in unseen:
        if one.provisioner not in IN_PROCESS:
            findings.expect(False, one, expected="a driver that some node registers", observed=one.provisioner)
    hidden = [one.short_name for one in unseen if one.provisioner in IN_PROCESS]
    if hidden:
        findings.not_assessed(f"the provisioner of {', '.join(hidden)} is no CSI driver, and no volume of it was found")


def _runs(storage_class: StorageClass, inventory: Reader) -> bool:
    registered = {
        driver.get("name")
        for raw in inventory.objects(CSI_NODES)
        for driver in (raw.get("spec") or {}).get("drivers") or ()
    }
    made = {PersistentVolume(raw).provisioned_by for raw in inventory.objects(VOLUMES)}
    return storage_class.driver in registered or storage_class.driver in made
