"""A validating webhook of a case's own: a TLS server on the loopback address, which the API server really calls."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fixtures.api import Api, ApiError
from fixtures.lab.asked import compliant
from fixtures.lab.waiting import await_answer
from tests.proofs.builders import named

Raw = dict[str, Any]
SERVICE = named("v1", "Service", "webhook", spec={"type": "ExternalName", "externalName": "localhost"})
"""By which the API server finds the loopback address under the name of a Service."""
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
DEADLINE = 60.0


def webhook(*, enforce: bool) -> Callable[[Api, str], Callable[[], None]]:
    """Serve and register a webhook that refuses privileged pods, or only looks at them; `arrange` for a case with SERVICE."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        asked = threading.Event()
        key, certificate = _certificate(f"webhook.{namespace}.svc")
        server = ThreadingHTTPServer(("localhost", 0), _handler(asked, enforce=enforce))
        server.socket = _context(key, certificate).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        api.create(_CONFIGURATIONS, _configuration(namespace, int(server.server_address[1]), certificate))

        def undo() -> None:
            api.delete(f"{_CONFIGURATIONS}/{namespace}")
            server.shutdown()
            server.server_close()
            thread.join()

        await_answer(lambda: _asks(api, namespace, asked), DEADLINE, f"the webhook of {namespace}")
        return undo

    return arrange


def _asks(api: Api, namespace: str, asked: threading.Event) -> bool | None:
    try:
        api.create(f"/api/v1/namespaces/{namespace}/pods", compliant(), {"dryRun": "All"})
    except ApiError as error:
        raise AssertionError(f"the compliant pod is refused: {error}") from error
    return True if asked.is_set() else None


def _handler(asked: threading.Event, *, enforce: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
            asked.set()
            contexts = [one.get("securityContext") or {} for one in request["object"]["spec"]["containers"]]
            bad = enforce and any(one.get("privileged") for one in contexts)
            answer: Raw = {"uid": request["uid"], "allowed": not bad}
            if bad:
                answer["status"] = {"code": 403, "message": "privileged pods are forbidden"}
            body = json.dumps(
                {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    return Handler


def _configuration(namespace: str, port: int, certificate: bytes) -> Raw:
    service = {"namespace": namespace, "name": "webhook", "port": port, "path": "/"}
    hook = {
        "name": "pods.proof.example",
        "clientConfig": {"service": service, "caBundle": base64.b64encode(certificate).decode()},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
    }
    return named("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", namespace, webhooks=[hook])


def _certificate(host: str) -> tuple[bytes, bytes]:
    """A key and a certificate that vouches for itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def _context(key: bytes, certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        both = Path(folder) / "both.pem"
        both.write_bytes(key + certificate)
        context.load_cert_chain(both)
    return context
