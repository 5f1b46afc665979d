"""Planted defects and near misses of access without credentials: a kubeadm cluster lets anonymous requests in, to be judged."""

from __future__ import annotations

from typing import Any

from tests.proofs.builders import binding, role, rule
from tests.proofs.case import Case, defect, near_miss

Raw = dict[str, Any]
CREDENTIALS = "authentication.no-default-credentials"
NOBODY: Raw = {"kind": "Group", "name": "system:unauthenticated", "apiGroup": "rbac.authorization.k8s.io"}


def without_credentials(*rules: Raw) -> tuple[Raw, Raw]:
    return role("{ns}", *rules, cluster=True), binding("{ns}", "{ns}", NOBODY, cluster=True)


CASES: list[Case] = [
    defect(
        CREDENTIALS,
        "anybody may list Secrets",
        *without_credentials(rule("list", "secrets")),
        observed="/api/v1/secrets: 200",
        alone=True,
    ),
    near_miss(
        CREDENTIALS,
        "anybody may read ConfigMaps, as kubeadm lets them read one",
        *without_credentials(rule("list", "configmaps")),
        alone=True,
    ),
]
