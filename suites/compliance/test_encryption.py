"""Whether plaintext entrances to the cluster are refused."""

from __future__ import annotations

from typing import Any

from fixtures.lab import Workbench
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Namespace

Raw = dict[str, Any]
_HOST = "kubeworthy.invalid"
_HTTP, _HTTPS = 80, 443


@readiness(
    "compliance.encryption-enforced", severity="high", needs=("api",), consent="probes", uses=("ingresses", "services")
)
def test_plaintext_entrances_are_refused(namespace: Namespace, findings: Findings, lab: Workbench) -> None:
    """Admission refuses entrances to the cluster that do not encrypt.

    Why: Encryption that each team has to remember is forgotten once, and nobody notices.
    How: In the namespace, an Ingress with TLS and a LoadBalancer Service on port 443 are created with dryRun=All, which has
        to be admitted, and then an Ingress without TLS and a LoadBalancer on port 80, which have to be refused.
    Fix: Bind a policy in deny mode that wants spec.tls of every Ingress and refuses port 80 of LoadBalancers.
    Does not prove: That what stands behind port 443 speaks TLS, nor that Gateways and storage classes are held to it.
    """
    place = namespace.short_name
    pairs = (
        ("an Ingress without TLS", "ingresses", _ingress(tls=False), _ingress(tls=True)),
        ("a LoadBalancer on port 80", "services", _balancer(_HTTP), _balancer(_HTTPS)),
    )
    unknown = ""
    for name, resource, plain, encrypted in pairs:
        if refusal := lab.dry_run(resource, encrypted, place):
            unknown = f"the encrypted twin of {name} is refused, so that a refusal proves nothing: {refusal.message}"
            continue
        refusal = lab.dry_run(resource, plain, place)
        findings.expect(refusal is not None, namespace, expected=f"{name} is refused", observed="admitted")
    if unknown:
        findings.not_assessed(unknown)


def _ingress(*, tls: bool) -> Raw:
    service = {"service": {"name": "asked-about", "port": {"number": _HTTP}}}
    path = {"path": "/", "pathType": "Prefix", "backend": service}
    spec: Raw = {"rules": [{"host": _HOST, "http": {"paths": [path]}}]}
    if tls:
        spec["tls"] = [{"hosts": [_HOST], "secretName": "asked-about"}]
    return {"metadata": {"name": "asked-about"}, "spec": spec}


def _balancer(port: int) -> Raw:
    spec = {"type": "LoadBalancer", "selector": {"app": "asked-about"}, "ports": [{"port": port}]}
    return {"metadata": {"name": "asked-about"}, "spec": spec}
