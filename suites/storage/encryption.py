"""Which volumes are encrypted at rest, as far as the API tells: a table by driver."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from fixtures.subjects import PersistentVolume, Reader, StorageClass
from fixtures.subjects.storage import CLASSES

EBS = "ebs.csi.aws.com"
AZURE_DISK = "disk.csi.azure.com"
GCP_DISK = "pd.csi.storage.gke.io"


class Encryption(StrEnum):
    """What is known about a volume."""

    ON = "encrypted"
    OFF = "not encrypted"
    UNKNOWN = "not to be seen in the API"


ALWAYS = frozenset({AZURE_DISK, "file.csi.azure.com", GCP_DISK})
"""Drivers whose platform encrypts every volume, whether asked or not."""

SWITCHES = {
    EBS: "encrypted",
    "rbd.csi.ceph.com": "encrypted",
    "driver.longhorn.io": "encrypted",
    "pxd.portworx.com": "secure",
}
"""The parameter that turns encryption on, for drivers that do not encrypt unless told to."""

KEYS = {AZURE_DISK: "diskencryptionsetid", GCP_DISK: "disk-encryption-kms-key"}
"""The parameter (lower case) that names the customer's own key."""

CARRIED = frozenset({"rbd.csi.ceph.com", "driver.longhorn.io", "pxd.portworx.com"})
"""Drivers that copy the parameters of the class into the attributes of the volume."""


def table_name(driver: str) -> str:
    """The driver's name in the tables: Rook puts its namespace before Ceph's."""
    return "rbd.csi.ceph.com" if driver.endswith(".rbd.csi.ceph.com") else driver


def by_parameters(driver: str, parameters: Mapping[str, str]) -> Encryption:
    """Whether volumes made with these parameters (keys in lower case) are encrypted."""
    name = table_name(driver)
    if name in ALWAYS:
        return Encryption.ON
    switch = SWITCHES.get(name)
    if switch is None:
        return Encryption.UNKNOWN
    return Encryption.ON if parameters.get(switch, "").lower() == "true" else Encryption.OFF


def of_volume(volume: PersistentVolume, maker: StorageClass | None) -> Encryption:
    """Whether a volume is encrypted; `maker` is the class that provisioned it, None where that is not proved."""
    name = table_name(volume.driver)
    if name in ALWAYS:
        return Encryption.ON
    if name in CARRIED and SWITCHES[name] in volume.attributes:
        return by_parameters(name, volume.attributes)
    if maker is not None:
        return by_parameters(name, maker.parameters)
    return Encryption.UNKNOWN


def classes_by_name(reader: Reader) -> dict[str, StorageClass]:
    """Every StorageClass by its name."""
    return {str(raw["metadata"]["name"]): StorageClass(raw) for raw in reader.objects(CLASSES)}


def maker(volume: PersistentVolume, classes: Mapping[str, StorageClass]) -> StorageClass | None:
    """The class that made a volume: of the same driver, provisioned by it, and older than the volume.

    A class's parameters cannot change, so that an older class of that name is the one the volume was made with.
    """
    found = classes.get(volume.class_name)
    if found is None or found.driver != volume.driver or volume.provisioned_by != volume.driver:
        return None
    return found if found.created and found.created <= volume.created else None


def switch_hint(driver: str) -> str:
    """What turns encryption on for a driver, for people."""
    switch = SWITCHES.get(table_name(driver))
    return f'parameters.{switch}: "true"' if switch else "encryption by the driver"
