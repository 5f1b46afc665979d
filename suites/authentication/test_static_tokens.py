"""Tokens of ServiceAccounts that do not expire, or not soon."""

from __future__ import annotations

from fixtures import limits
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Pod, Raw, Reader, WholeCluster
from fixtures.subjects.assessed import place

_ACCOUNT = "kubernetes.io/service-account.name"
_PULL_SECRET = "openshift.io/token-secret.name"
_LAST_USED = "kubernetes.io/legacy-token-last-used"


@readiness("authentication.bound-service-account-tokens", severity="high", reads=("secrets", "pods"))
def test_tokens_are_bound_and_expire(
    cluster: WholeCluster, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """ServiceAccount tokens are bound to a pod and expire within a day.

    Why: A token in a Secret never expires, and goes wherever the Secret is copied.
    How: No Secret carries the annotation that a Secret needs to be filled with a ServiceAccount's token; only the metadata of
        Secrets is read. No projected volume of a pod asks for a token for more than a day; the one that is mounted
        by itself is renewed each hour.
    Fix: Delete the Secret once nothing uses it, and use TokenRequest, a projected volume or workload identity instead.
    Does not prove: That tokens were not requested by hand for longer (authentication.short-lived-tokens).
    """
    for raw in inventory.objects("secrets"):
        annotations = raw["metadata"].get("annotations") or {}
        holds = _ACCOUNT in annotations and _PULL_SECRET not in annotations
        used = (raw["metadata"].get("labels") or {}).get(_LAST_USED, "")
        observed = f"that of {annotations.get(_ACCOUNT)}{f', last used {used}' if used else ''}"
        findings.expect(not holds, f"Secret {place(raw)}", expected="no ServiceAccount's token", observed=observed)
    longest = policy.limit(limits.TOKEN_LIFETIME)
    for raw in inventory.objects("pods"):
        for name, seconds in _projected(raw):
            findings.expect(
                seconds <= longest,
                f"Pod {place(raw)} volume {name}",
                expected=f"a token for at most {longest:g} s",
                observed=f"{seconds} s",
            )
    if not findings.examined:
        findings.not_applicable("there is no Secret, and no pod with a projected token")


def _projected(raw: Raw) -> list[tuple[str, int]]:
    """The volumes of a pod that hold a token, with its lifetime in seconds."""
    return [
        (str(volume["name"]), int(source["serviceAccountToken"].get("expirationSeconds") or 0))
        for volume in Pod(raw).spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if "serviceAccountToken" in source
    ]
