"""The version of Kubernetes."""

from __future__ import annotations

import re

from fixtures import limits
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster


@readiness("infrastructure.kubernetes-1-24", severity="high")
def test_kubernetes_is_new_enough(cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy) -> None:
    """The cluster runs Kubernetes 1.24 or newer.

    Why: Operators use what came with it: server-side apply, policy/v1, Leases, tokens that are bound and expire.
    How: major and minor of the server's /version, without suffixes such as "28+".
    Fix: Upgrade the control plane, one minor version at a time, then the nodes.
    Does not prove: That the release still gets fixes: the last three minor versions do.
    """
    version = inventory.version()
    major, minor = (_number(str(version.get(part) or "")) for part in ("major", "minor"))
    if major is None or minor is None:
        findings.not_assessed(f"the server's version cannot be read from {version!r}")
    wanted = int(policy.limit(limits.KUBERNETES_MINOR))
    observed = str(version.get("gitVersion") or f"{major}.{minor}")
    ok = (major, minor) >= (1, wanted)
    findings.expect(ok, "version", expected=f"1.{wanted} or newer", observed=observed, look="kubectl version")


def _number(text: str) -> int | None:
    match = re.match(r"\d+", text)
    return int(match[0]) if match else None
