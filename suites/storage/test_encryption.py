"""Volumes are encrypted at rest, by the driver's own rules."""

from __future__ import annotations

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import PersistentVolume, Reader, StorageClass, WholeCluster
from fixtures.subjects.storage import CLASSES, VOLUMES
from suites.storage.encryption import (
    AZURE_DISK,
    EBS,
    GCP_DISK,
    KEYS,
    Encryption,
    by_parameters,
    classes_by_name,
    maker,
    of_volume,
    switch_hint,
)


@readiness("storage.class-encryption", severity="critical")
def test_classes_make_encrypted_volumes(storage_class: StorageClass, findings: Findings) -> None:
    """Every StorageClass makes encrypted volumes.

    Why: A disk that leaves the data centre, or a snapshot that is shared by mistake, gives away what is on it.
    How: The driver's rule: Azure and Google encrypt always; EBS, Ceph RBD and Longhorn need parameters.encrypted
    "true", Portworx secure "true". A driver that is not in the table is not assessed: its array or disk may
    encrypt.
    Fix: Make a new class with the driver's parameter, and move the volumes by snapshot and restore.
    Does not prove: Who owns the keys, that they are rotated, or that an account does not encrypt by default.
    """
    state = by_parameters(storage_class.driver, storage_class.parameters)
    if state is Encryption.UNKNOWN:
        findings.not_assessed(f"whether {storage_class.provisioner} encrypts is not to be seen in the API")
    findings.expect(
        state is Encryption.ON,
        "parameters",
        expected=switch_hint(storage_class.driver),
        observed=storage_class.raw.get("parameters"),
    )


@readiness("storage.volume-encryption", severity="critical", reads=(CLASSES,))
def test_volumes_are_encrypted(persistent_volume: PersistentVolume, findings: Findings, inventory: Reader) -> None:
    """Every PersistentVolume is encrypted at rest.

    Why: A class that was corrected leaves the volumes that it made before as they were.
    How: The driver's rule (see storage.class-encryption) on the volume's attributes, or on the class that made it:
    the class it names, provably older than the volume, since a class cannot be changed. Local, hostPath and NFS
    volumes and unknown drivers are not assessed.
    Fix: Set the driver's parameter in a new class and move the volume by snapshot and restore.
    Does not prove: Who owns the keys, or that they are rotated: that takes an attestation.
    """
    state = of_volume(persistent_volume, maker(persistent_volume, inventory.derive(classes_by_name)))
    if state is Encryption.UNKNOWN:
        findings.not_assessed(f"whether this {persistent_volume.driver} volume is encrypted is not in the API")
    findings.expect(
        state is Encryption.ON,
        "spec.csi",
        expected=switch_hint(persistent_volume.driver),
        observed=f"{persistent_volume.driver} volume of class {persistent_volume.class_name or '(none)'}: {state}",
    )


@readiness("storage.ebs-encrypted", severity="critical", reads=(CLASSES, VOLUMES))
def test_ebs_volumes_are_encrypted(cluster: WholeCluster, findings: Findings, inventory: Reader) -> None:
    """Every EBS class and volume is encrypted.

    Why: EBS does not encrypt unless the class, or the account, says so.
    How: parameters.encrypted of every class of ebs.csi.aws.com or kubernetes.io/aws-ebs; a volume by the class that
    provably made it. A volume of unknown origin is not assessed: the object does not tell, and no account is asked.
    Fix: Set encrypted "true" in the class, turn on encryption by default, and move old volumes by snapshot.
    Does not prove: Which key is used, or what the account's default is.
    """
    _expect_encrypted(EBS, findings, inventory)


@readiness("storage.azure-disk-encrypted", severity="critical", reads=(CLASSES, VOLUMES))
def test_azure_disks_are_encrypted(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Every Azure disk is encrypted, with the customer's key where that is demanded.

    Why: Azure encrypts each disk with a key of its own; whoever must hold the key needs a disk encryption set.
    How: The driver disk.csi.azure.com (or kubernetes.io/azure-disk); with subjects.customer_keys of the policy
    file, parameters.diskEncryptionSetID of each class, and of the class that provably made each volume.
    Fix: Set diskEncryptionSetID on the class, and move old volumes by snapshot.
    Does not prove: That the nodes' own disks and caches are encrypted (encryption at host).
    """
    _expect_own_key(AZURE_DISK, findings, inventory, policy)


@readiness("storage.gcp-pd-encrypted", severity="critical", reads=(CLASSES, VOLUMES))
def test_google_disks_are_encrypted(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Every Google disk is encrypted, with the customer's key where that is demanded.

    Why: Google encrypts each disk with a key of its own; whoever must hold the key needs one in Cloud KMS.
    How: The driver pd.csi.storage.gke.io (or kubernetes.io/gce-pd); with subjects.customer_keys of the policy file,
    parameters.disk-encryption-kms-key of each class, and of the class that provably made each volume.
    Fix: Set disk-encryption-kms-key on the class, and move old volumes by snapshot.
    Does not prove: That the key is not disabled or shared.
    """
    _expect_own_key(GCP_DISK, findings, inventory, policy)


def _of_driver(driver: str, findings: Findings, inventory: Reader) -> tuple[list[StorageClass], list[PersistentVolume]]:
    classes = [one for one in inventory.derive(classes_by_name).values() if one.driver == driver]
    volumes = [one for one in map(PersistentVolume, inventory.objects(VOLUMES)) if one.driver == driver]
    if not classes and not volumes:
        findings.not_applicable(f"no StorageClass and no PersistentVolume is of {driver}")
    return classes, volumes


def _expect_encrypted(driver: str, findings: Findings, inventory: Reader) -> None:
    classes, volumes = _of_driver(driver, findings, inventory)
    for one in classes:
        state = by_parameters(driver, one.parameters)
        findings.expect(state is Encryption.ON, one, expected=switch_hint(driver), observed=one.raw.get("parameters"))
    states = {one: of_volume(one, maker(one, inventory.derive(classes_by_name))) for one in volumes}
    for volume, state in states.items():
        if state is not Encryption.UNKNOWN:
            made_by = f"made by class {volume.class_name}, {state}"
            findings.expect(state is Encryption.ON, volume, expected=switch_hint(driver), observed=made_by)
    _give_up_on([volume for volume, state in states.items() if state is Encryption.UNKNOWN], findings)


def _expect_own_key(driver: str, findings: Findings, inventory: Reader, policy: Policy) -> None:
    classes, volumes = _of_driver(driver, findings, inventory)
    if not policy.subjects.customer_keys:
        findings.expect(True, driver, expected="encrypted by the platform", observed="")
        return
    for one in classes:
        parameters = one.raw.get("parameters")
        findings.expect(KEYS[driver] in one.parameters, one, expected=f"parameters.{KEYS[driver]}", observed=parameters)
    makers = {volume: maker(volume, inventory.derive(classes_by_name)) for volume in volumes}
    for volume, made_by in makers.items():
        if made_by is not None:
            seen = f"made by {made_by.name} without it"
            findings.expect(KEYS[driver] in made_by.parameters, volume, expected="the customer's key", observed=seen)
    _give_up_on([volume for volume, made_by in makers.items() if made_by is None], findings)


def _give_up_on(volumes: list[PersistentVolume], findings: Findings) -> None:
    if volumes:
        names = ", ".join(volume.short_name for volume in volumes)
        findings.not_assessed(f"the API does not tell how these volumes were made: {names}")
