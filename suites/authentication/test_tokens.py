"""How long a ServiceAccount's token holds."""

from __future__ import annotations

import base64
import json

from fixtures import limits
from fixtures.api import ApiError
from fixtures.lab import Workbench, objects
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster


@readiness(
    "authentication.short-lived-tokens",
    severity="high",
    needs=("api",),
    consent="probes",
    uses=("namespaces", "serviceaccounts", "serviceaccounts/token"),
)
def test_long_tokens_are_not_granted(cluster: WholeCluster, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """A ServiceAccount's token holds for a day at most, however long is asked for.

    Why: A stolen token is good until it expires; who may create one for a year has a credential that outlives every review.
    How: For a ServiceAccount of the run's own, a token for an hour is requested, which has to be granted, one for a
        year, and one for an hour more than a day. These have to be refused, or granted with a lifetime (exp - iat) of at most
        a day.
    Fix: Set --service-account-max-token-expiration=24h and --service-account-extend-token-expiration=false on the API
        servers, or refuse longer requests of serviceaccounts/token by a ValidatingAdmissionPolicy.
    Does not prove: That no token Secret is in use, nor how long the tokens of people hold.
    """
    longest = policy.limit(limits.TOKEN_LIFETIME)
    with lab.place("tokens") as place:
        place.create("serviceaccounts", objects.named("asks"))
        short = place.token("asks", int(limits.TOKEN_CONTROL.value))
        if isinstance(short, ApiError):
            findings.not_assessed(f"a token for an hour is refused, so that a refusal proves nothing: {short.message}")
        for seconds in (limits.TOKEN_ASKED.value, longest + limits.TOKEN_CONTROL.value):
            answer = place.token("asks", int(seconds))
            lifetime = 0 if isinstance(answer, ApiError) else _lifetime(answer)
            if lifetime:
                findings.measure(f"granted when {seconds / 3600:g} h were asked for", lifetime, "s", longest)
            findings.expect(
                lifetime <= longest,
                "TokenRequest",
                expected=f"at most {longest / 3600:g} h when {seconds / 3600:g} h are asked for",
                observed=f"granted for {lifetime / 3600:g} h",
            )


def _lifetime(token: str) -> int:
    """The seconds from a JSON web token's issue to its expiry."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return int(claims["exp"]) - int(claims["iat"])
