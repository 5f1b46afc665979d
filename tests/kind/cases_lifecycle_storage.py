"""Planted defects and near misses of volumes that are made on demand."""

from __future__ import annotations

from reports.words import Verdict
from tests.kind.provisioner import provisioner, storage_class
from tests.proofs.case import Case, defect, near_miss

VOLUMES = "storage.dynamic-provisioning"
CLASS = "StorageClass {ns}"

CASES: list[Case] = [
    near_miss(
        VOLUMES,
        "a volume that stays on its node and keeps its data",
        storage_class(),
        subject=CLASS,
        alone=True,
        arrange=provisioner("/tmp"),
    ),
    near_miss(
        VOLUMES,
        "volumes are made by hand",
        storage_class(provisioner="kubernetes.io/no-provisioner"),
        subject=CLASS,
        alone=True,
        verdict=Verdict.NOT_APPLICABLE,
    ),
    defect(
        VOLUMES,
        "nothing provisions",
        storage_class(),
        subject=CLASS,
        observed="example.com/folder",
        alone=True,
        policy={"thresholds": {"storage.provisioning": 10}},
    ),
    defect(
        VOLUMES,
        "an ordinary user cannot write to it",
        storage_class(),
        subject=CLASS,
        observed="the volume: denied",
        alone=True,
        arrange=provisioner("/var/lib"),
    ),
    defect(
        VOLUMES,
        "the data do not move along",
        storage_class(),
        subject=CLASS,
        observed="the volume, on another node: ",
        alone=True,
        arrange=provisioner("/tmp", tied=False),
    ),
    defect(
        VOLUMES,
        "the volume is left behind",
        storage_class(),
        subject=CLASS,
        observed="the end of /api/v1/persistentvolumes",
        alone=True,
        policy={"thresholds": {"storage.provisioning": 60}},
        arrange=provisioner("/tmp", keeps=True),
    ),
    defect(
        VOLUMES,
        "the claim never grows, though the class says that it does",
        storage_class(allowVolumeExpansion=True),
        subject=CLASS,
        observed="expanded to 2Gi did not come about",
        alone=True,
        policy={"thresholds": {"storage.provisioning": 60}},
        arrange=provisioner("/tmp"),
    ),
]
