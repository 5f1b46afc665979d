"""Planted defects and near misses of the area storage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reports.words import Verdict
from tests.proofs.builders import merge, named
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
DEFAULT = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
EBS, AZURE, GCP = "ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io"
OURS = "csi.example.com"


def storage_class(name: str, provisioner: str, *, default: bool = False, **parameters: str) -> Raw:
    """A StorageClass; `_` in the name of a parameter stands for `-`."""
    metadata = {"name": f"{{ns}}-{name}", **(DEFAULT if default else {})}
    spelt = {key.replace("_", "-"): value for key, value in parameters.items()}
    raw: Raw = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata}
    return {**raw, "provisioner": provisioner, "parameters": spelt}


def volume(source: Raw, *, made_by: str = "", of_class: str = "", name: str = "pv") -> Raw:
    """A PersistentVolume of one source, as a provisioner (`made_by`) or a person makes it."""
    annotations = {"pv.kubernetes.io/provisioned-by": made_by} if made_by else {}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        **({"storageClassName": f"{{ns}}-{of_class}"} if of_class else {}),
        **source,
    }
    return named("v1", "PersistentVolume", f"{{ns}}-{name}", metadata={"annotations": annotations}, spec=spec)


def csi(driver: str, **attributes: str) -> Raw:
    return {"csi": {"driver": driver, "volumeHandle": "{ns}", "volumeAttributes": attributes}}


def csi_node(*drivers: str) -> Raw:
    """What the kubelet of a worker registers."""
    spec = {"drivers": [{"name": driver, "nodeID": "node-0"} for driver in drivers]}
    return named("storage.k8s.io/v1", "CSINode", "node-0", spec=spec)


CLAIM = named(
    "v1", "PersistentVolumeClaim", "data",
    spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
)  # fmt: skip
CLASSES = "storage.storage-classes"
FAST, SLOW = storage_class("fast", OURS, default=True, type="ssd"), storage_class("slow", OURS, type="hdd")


def usable(name: str, verdict: Verdict, *objects: Raw, **more: Any) -> Case:
    return Case(CLASSES, name, verdict, objects, "Cluster", **more)


STORAGE_CLASSES = [
    usable("none", Verdict.FAIL),
    usable("one", Verdict.FAIL, FAST, csi_node(OURS)),
    usable("two that are the same", Verdict.FAIL, FAST, storage_class("slow", OURS, type="ssd"), csi_node(OURS)),
    usable("no default", Verdict.FAIL, merge(FAST, {"metadata": {"annotations": None}}), SLOW, csi_node(OURS),
           observed="default StorageClass"),
    usable("two defaults", Verdict.FAIL, FAST, storage_class("slow", OURS, default=True, type="hdd"), csi_node(OURS)),
    usable("two, with a registered driver", Verdict.PASS, FAST, SLOW, csi_node("other.example.com", OURS)),
    usable("an in-tree name of a registered driver", Verdict.PASS, storage_class("fast", EBS, default=True),
           storage_class("slow", "kubernetes.io/aws-ebs", type="st1"), csi_node(EBS)),
    usable("static volumes need no driver", Verdict.PASS, FAST, storage_class("static", "kubernetes.io/no-provisioner"),
           csi_node(OURS)),
    usable("a driver that nobody registered, on simulated nodes", Verdict.NOT_ASSESSED, FAST, SLOW),
    usable("declared to be stateless", Verdict.NOT_APPLICABLE, policy={"subjects": {"stateless": True}}),
    usable("declared to be stateless, with a claim", Verdict.FAIL, CLAIM, policy={"subjects": {"stateless": True}}),
    usable("declared to be stateless, with a volume", Verdict.FAIL, volume(csi(OURS)),
           policy={"subjects": {"stateless": True}}),
]  # fmt: skip

CLASS = "storage.class-encryption"


def classed(name: str, verdict: Verdict, raw: Raw) -> Case:
    return Case(CLASS, name, verdict, (raw,), f"StorageClass {raw['metadata']['name']}")


CLASS_ENCRYPTION = [
    classed("EBS that says nothing", Verdict.FAIL, storage_class("a", EBS, type="gp3")),
    classed("EBS that says false", Verdict.FAIL, storage_class("a", EBS, encrypted="false")),
    classed("EBS in-tree that says nothing", Verdict.FAIL, storage_class("a", "kubernetes.io/aws-ebs")),
    classed("Ceph behind Rook that says nothing", Verdict.FAIL, storage_class("a", "rook-ceph.rbd.csi.ceph.com")),
    classed(
        "Portworx with another driver's word", Verdict.FAIL, storage_class("a", "pxd.portworx.com", encrypted="true")
    ),
    classed("EBS", Verdict.PASS, storage_class("a", EBS, encrypted="true")),
    classed("EBS in capitals", Verdict.PASS, storage_class("a", EBS, Encrypted="true")),
    classed("Ceph behind Rook", Verdict.PASS, storage_class("a", "rook-ceph.rbd.csi.ceph.com", encrypted="true")),
    classed("Portworx", Verdict.PASS, storage_class("a", "pxd.portworx.com", secure="true")),
    classed("Azure, always", Verdict.PASS, storage_class("a", AZURE)),
    classed("an unknown driver", Verdict.NOT_ASSESSED, storage_class("a", OURS, encrypted="true")),
]


VOLUME = "storage.volume-encryption"
AZURE_DISK = {
    "diskName": "a",
    "diskURI": "/subscriptions/1/resourcegroups/shop/providers/microsoft.compute/disks/a",
    "kind": "Managed",
}
PV = "PersistentVolume {ns}-pv"
MADE = {"made_by": EBS, "of_class": "a"}
ON = storage_class("a", EBS, encrypted="true")
VOLUME_ENCRYPTION = [
    defect(VOLUME, "of a class that does not encrypt", storage_class("a", EBS), volume(csi(EBS), **MADE), subject=PV,
           observed="not encrypted"),
    defect(VOLUME, "Longhorn's own word", volume(csi("driver.longhorn.io", encrypted="false")), subject=PV),
    near_miss(VOLUME, "of a class that encrypts", ON, volume(csi(EBS), **MADE), subject=PV),
    near_miss(VOLUME, "Longhorn", volume(csi("driver.longhorn.io", encrypted="true")), subject=PV),
    near_miss(VOLUME, "Azure, in-tree", volume({"azureDisk": AZURE_DISK}), subject=PV),
    near_miss(VOLUME, "made by a person, of a class that encrypts", ON, volume(csi(EBS), of_class="a"), subject=PV,
              verdict=Verdict.NOT_ASSESSED),
    near_miss(VOLUME, "of a class that is another driver's now", storage_class("a", OURS), volume(csi(EBS), **MADE), subject=PV,
              verdict=Verdict.NOT_ASSESSED),
    near_miss(VOLUME, "of a class that is gone", volume(csi(EBS), **MADE), subject=PV, verdict=Verdict.NOT_ASSESSED),
    near_miss(VOLUME, "hostPath", volume({"hostPath": {"path": "/data"}}), subject=PV, verdict=Verdict.NOT_ASSESSED),
    near_miss(VOLUME, "NFS", volume({"nfs": {"server": "nfs", "path": "/"}}), subject=PV, verdict=Verdict.NOT_ASSESSED),
]  # fmt: skip

KEYS = {"subjects": {"customer_keys": True}}


def clouds(property_id: str, name: str, verdict: Verdict, *objects: Raw, **more: Any) -> Case:
    return Case(property_id, name, verdict, objects, "Cluster", **more)


CLOUDS = [
    clouds("storage.ebs-encrypted", "a class that does not encrypt", Verdict.FAIL, ON, storage_class("b", EBS, type="gp3")),
    clouds("storage.ebs-encrypted", "a volume that was made by one", Verdict.FAIL, storage_class("a", EBS), volume(csi(EBS), **MADE),
           observed="-pv"),
    clouds("storage.ebs-encrypted", "classes and volumes", Verdict.PASS, ON, volume(csi(EBS), **MADE)),
    clouds("storage.ebs-encrypted", "a volume of unknown origin", Verdict.NOT_ASSESSED, ON, volume(csi(EBS))),
    clouds("storage.ebs-encrypted", "other clouds only", Verdict.NOT_APPLICABLE, storage_class("a", AZURE)),
    clouds("storage.azure-disk-encrypted", "the customer's key missing", Verdict.FAIL, storage_class("a", AZURE), policy=KEYS),
    clouds("storage.azure-disk-encrypted", "the customer's key", Verdict.PASS,
           storage_class("a", AZURE, diskEncryptionSetID="/subscriptions/1"), policy=KEYS),
    clouds("storage.azure-disk-encrypted", "no key demanded", Verdict.PASS, storage_class("a", AZURE)),
    clouds("storage.azure-disk-encrypted", "a volume of unknown origin, key demanded", Verdict.NOT_ASSESSED,
           volume(csi(AZURE)), policy=KEYS),
    clouds("storage.azure-disk-encrypted", "none", Verdict.NOT_APPLICABLE),
    clouds("storage.gcp-pd-encrypted", "the customer's key missing", Verdict.FAIL, storage_class("a", GCP, type="pd-ssd"), policy=KEYS),
    clouds("storage.gcp-pd-encrypted", "a volume without the key", Verdict.FAIL, storage_class("a", "kubernetes.io/gce-pd"),
           volume(csi(GCP), made_by=GCP, of_class="a"), policy=KEYS, observed="-pv"),
    clouds("storage.gcp-pd-encrypted", "the customer's key", Verdict.PASS,
           storage_class("a", GCP, disk_encryption_kms_key="projects/1"), policy=KEYS),
    clouds("storage.gcp-pd-encrypted", "no key demanded", Verdict.PASS, storage_class("a", "kubernetes.io/gce-pd")),
]  # fmt: skip

CASES: list[Case] = [
    replace(case, alone=True) for case in (*STORAGE_CLASSES, *CLASS_ENCRYPTION, *VOLUME_ENCRYPTION, *CLOUDS)
]
"""All of them alone: the classes and volumes of one case would be subjects of another."""
