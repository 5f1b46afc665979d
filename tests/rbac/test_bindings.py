"""Whom a binding is judged for: everybody but the platform, within the scope of the policy file."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.policy import Policy
from fixtures.rbac import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, Holder
from fixtures.subjects.access import all_bindings, is_platform
from tests.readers import Objects

Raw = dict[str, Any]


class Shelf(Objects):
    """A reader over bindings alone."""

    def __init__(self, raw: Raw, **scope: Any) -> None:
        kind = CLUSTER_ROLE_BINDINGS if raw["kind"] == "ClusterRoleBinding" else ROLE_BINDINGS
        exceptions = {"rbac_exceptions": ["Group trusted", "shop/trusted"]}
        super().__init__({kind: [raw]}, Policy.model_validate({"scope": scope, "subjects": exceptions}))


def bound(subject: Raw, namespace: str = "", role: str = "view") -> Raw:
    metadata = {"name": "grant", **({"namespace": namespace} if namespace else {})}
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {"kind": kind, "metadata": metadata, "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [subject]}


def account(namespace: str, name: str = "app") -> Raw:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def group(name: str) -> Raw:
    return {"kind": "Group", "name": name}


KUBELET_CLIENT = {"kind": "User", "name": "kube-apiserver-kubelet-client"}


@pytest.mark.parametrize(
    ("kind", "name", "platform"),
    [
        ("User", "system:kube-scheduler", True),
        ("User", "eks:addon-manager", True),
        ("Group", "system:masters", True),
        ("Group", "kubeadm:cluster-admins", True),
        ("User", "kubeadm:cluster-admins", False),
        ("Group", "system:nodes", False),
        ("User", "system:node:worker-1", False),
        ("Group", "system:bootstrappers:kubeadm:default-node-token", False),
        ("Group", "system:authenticated", False),
        ("User", "system:anonymous", False),
        ("Group", "system:serviceaccounts:shop", False),
        ("User", "system:serviceaccount:shop:app", False),
        ("Group", "admins", False),
    ],
)
def test_the_platform_is_told_from_everybody_else(kind: str, name: str, platform: bool) -> None:
    assert is_platform(Holder(kind, name)) is platform


@pytest.mark.parametrize(
    ("raw", "scope", "judged"),
    [
        (bound(account("shop")), {}, True),
        (bound(account("shop")), {"exclude": ["shop"]}, False),
        (bound(account("kube-system")), {}, False),
        (bound(account("kube-system"), role="cluster-admin"), {}, True),
        (bound(account("kube-system", "default")), {}, True),
        (bound(account("storage"), role="cluster-admin"), {"system": ["storage"]}, True),
        (bound(account("storage")), {"system": ["storage"]}, False),
        (bound(account("shop"), "lab"), {"include": ["lab"]}, True),
        (bound(account("shop"), "lab"), {"include": ["shop"]}, True),
        (bound(account("shop"), "lab"), {"include": ["other"]}, False),
        (bound(group("ops")), {"include": ["shop"]}, True),
        (bound(group("ops"), "lab"), {"include": ["shop"]}, False),
        (bound(group("ops"), "kube-system"), {"include": ["shop"]}, True),
        (bound(group("system:serviceaccounts")), {"include": ["shop"]}, True),
        (bound(group("system:serviceaccounts:shop")), {"include": ["shop"]}, True),
        (bound(group("system:serviceaccounts:lab")), {"include": ["shop"]}, False),
        (bound(group("system:masters"), role="cluster-admin"), {}, False),
        (bound(group("kubeadm:cluster-admins"), role="cluster-admin"), {}, False),
        (bound(KUBELET_CLIENT, role="system:kubelet-api-admin"), {}, False),
        (bound(KUBELET_CLIENT, role="cluster-admin"), {}, True),
        (bound(group("ops"), role="system:kubelet-api-admin"), {}, True),
    ],
)
def test_a_binding_is_judged_within_the_scope(raw: Raw, scope: Raw, judged: bool) -> None:
    assert bool(all_bindings(Shelf(raw, **scope))) is judged


@pytest.mark.parametrize("subject", [group("trusted"), account("shop", "trusted")])
def test_what_the_policy_file_declares_is_kept_as_an_exception(subject: Raw) -> None:
    [binding] = all_bindings(Shelf(bound(subject)))

    assert binding.holders == ()
    assert len(binding.excepted) == 1


def test_a_subject_that_was_added_to_a_default_binding_is_judged() -> None:
    raw = bound(group("system:masters"), role="cluster-admin")
    raw["metadata"]["labels"] = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    raw["subjects"].append({"kind": "User", "name": "eve"})

    [binding] = all_bindings(Shelf(raw))

    assert binding.holders == (Holder("User", "eve"),)
