"""Whether anybody gets in without credentials, or with those that an installer left behind."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from fixtures import limits
from fixtures.api import METADATA_LIST, Api, Forbidden, Unauthorized
from fixtures.lab import Workbench
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, WholeCluster

_READS = ("/api/v1/namespaces/kube-system/secrets", "/api/v1/secrets", "/api/v1/pods", "/api/v1/nodes")
_INVENTED = "kubeworthy-invented-this"


@readiness(
    "authentication.no-default-credentials", severity="critical", needs=("api",), reads=("secrets",), consent="probes"
)
def test_nobody_gets_in_without_credentials(
    cluster: WholeCluster, findings: Findings, lab: Workbench, inventory: Reader, policy: Policy
) -> None:
    """Nobody gets in without credentials, or with those that an installer left.

    Why: The first thing that a scanner tries is no credentials at all; the second is those that the installer made.
    How: Secrets, pods and nodes are listed without credentials and with an invented bearer token; only metadata is asked for.
        Each has to be answered 401 or 403. Secrets named argocd-initial-admin-secret, and bootstrap tokens older than a day,
        by which a new node joins, are credentials that were made for the start and are still good.
    Fix: Delete bindings to system:anonymous and system:unauthenticated, or set --anonymous-auth=false. Delete the Secret
        that is named, or its binding.
    Does not prove: That the products on the cluster were given new passwords, nor how the administrator's kubeconfig is kept.
    """
    for who, token in (("without credentials", ""), ("with an invented token", _INVENTED)):
        with closing(lab.api.as_bearer(token)) as client:
            for path in _READS:
                answer = _answer(client, path)
                findings.expect(answer in (401, 403), path, expected=f"401 or 403 {who}", observed=answer)
    longest = policy.limit(limits.BOOTSTRAP_TOKEN_AGE)
    for raw in inventory.objects("secrets"):
        name, namespace = raw["metadata"]["name"], raw["metadata"].get("namespace", "")
        at = f"Secret {namespace}/{name}"
        if name == "argocd-initial-admin-secret":
            findings.expect(False, at, expected="deleted after the first log-in", observed="still there")
        if namespace == "kube-system" and name.startswith("bootstrap-token-"):
            age = _age(raw)
            findings.expect(
                age <= longest,
                at,
                expected=f"a token for at most {longest / 3600:g} h",
                observed=f"{age / 3600:.1f} h old",
            )


def _answer(client: Api, path: str) -> int:
    """The status that a client is answered with. Raises ApiError for anything but a list or a refusal."""
    try:
        client.get(path, {"limit": 1}, METADATA_LIST)
    except (Unauthorized, Forbidden) as error:
        return error.status
    return 200


def _age(raw: Raw) -> float:
    made = datetime.fromisoformat(raw["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - made).total_seconds()
