"""What no ClusterRoleBinding may grant to anybody but the platform."""

from __future__ import annotations

from fixtures.rbac import Rule
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Binding, Reader
from fixtures.subjects.storage import CLASSES, StorageClass
from suites.rbac.rights import POD_CREATION, SECRET_READS, VOLUME_CREATION, WEBHOOK_WRITES, Right, forbid, found

NO_PROVISIONER = "kubernetes.io/no-provisioner"

_PROVISIONER = (
    Right(("watch",), "persistentvolumeclaims"),
    Right(("watch",), "storageclasses", "storage.k8s.io"),
    Right(("delete",), "persistentvolumes"),
)


@readiness("rbac.no-cluster-wide-secret-reads", severity="critical")
def test_nobody_reads_every_secret(cluster_binding: Binding, findings: Findings) -> None:
    """Nobody but the platform reads the Secrets of every namespace.

    Why: Secrets hold the tokens and passwords of every tenant, those of stronger ServiceAccounts among them.
    How: get, list or watch on secrets in the rules behind a ClusterRoleBinding; a list shows the values as well. A
    rule that names its Secrets is left alone.
    Fix: Bind a Role in each namespace that needs it, or name the Secrets in resourceNames.
    Does not prove: That nobody mounts a Secret into a pod of theirs (rbac.no-cluster-wide-pod-creation).
    """
    forbid(cluster_binding, findings, "no get, list or watch on secrets", lambda rule: found(rule, SECRET_READS))


@readiness("rbac.no-cluster-wide-pod-creation", severity="critical")
def test_nobody_runs_code_in_every_namespace(cluster_binding: Binding, findings: Findings) -> None:
    """Nobody but the platform creates pods, or enters them, in every namespace.

    Why: A pod runs as any ServiceAccount of its namespace, on any node, with any Secret mounted.
    How: In the rules behind a ClusterRoleBinding: create on pods and on what makes pods (Deployments, Jobs ...);
    create or get on pods/exec and pods/attach, since a websocket opens them with GET; update or patch on
    pods/ephemeralcontainers.
    Fix: Bind the role in the namespaces where its holder works.
    Does not prove: That changing an existing workload or a custom resource of an operator does not run code, too.
    """
    expected = "no creation of pods or of what makes them, no exec, attach or debug"
    forbid(cluster_binding, findings, expected, lambda rule: found(rule, POD_CREATION))


@readiness("rbac.no-webhook-configuration-writes", severity="critical")
def test_nobody_changes_admission_webhooks(cluster_binding: Binding, findings: Findings) -> None:
    """Nobody but the platform changes the configuration of admission webhooks.

    Why: A webhook sees every object that is written, Secrets included, and may change it; to delete one ends a
    policy.
    How: create, update, patch, delete and deletecollection on validating- and mutatingwebhookconfigurations; a rule
    that names its own configurations is left alone.
    Fix: Name the operator's own configurations in resourceNames and let the installation create them.
    Does not prove: Who may change admission policies written in CEL.
    """
    expected = "no write on *webhookconfigurations without resourceNames"
    forbid(cluster_binding, findings, expected, lambda rule: found(rule, WEBHOOK_WRITES))


@readiness("rbac.no-persistent-volume-creation", severity="high", reads=(CLASSES,))
def test_nobody_creates_persistent_volumes(cluster_binding: Binding, findings: Findings, inventory: Reader) -> None:
    """Only provisioners of storage create PersistentVolumes.

    Why: A PersistentVolume of type hostPath is a way to any file of a node, past the Pod Security Standards.
    How: create on persistentvolumes in the rules behind a ClusterRoleBinding. Left alone are ServiceAccounts that
    hold what a dynamic provisioner needs (watch claims and classes, delete volumes) where a class has a
    provisioner.
    Fix: Remove the verb and let a StorageClass provision; make static volumes as an administrator.
    Does not prove: That what holds a provisioner's rights is one.
    """
    expected = "no create on persistentvolumes"
    rights = () if _is_provisioner(cluster_binding, inventory) else VOLUME_CREATION
    forbid(cluster_binding, findings, expected, lambda rule: found(rule, rights))


def _is_provisioner(binding: Binding, inventory: Reader) -> bool:
    if not all(holder.account for holder in binding.holders):
        return False
    classes = [StorageClass(raw) for raw in inventory.objects(CLASSES)]
    if all(one.provisioner == NO_PROVISIONER for one in classes):
        return False
    return all(any(right.within(rule) and not _wild(rule) for rule in binding.rules) for right in _PROVISIONER)


def _wild(rule: Rule) -> bool:
    return "*" in rule.resources
