"""A server on loopback that answers as it is told: slow, broken, expired, or no API server at all. And kubeconfigs for it."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)


@dataclass
class Request:
    """What the server was asked: method, path, query (each key once), headers, and the body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What it answers: `status`, `body` (text and bytes go out as they are, anything else as JSON), `headers`.

    `cut` promises that many bytes more than it sends; `pieces` sends a body bit by bit instead.
    """

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    pieces: Iterator[bytes] | None = None


def a_status(code: int, reason: str, message: str = "no", **headers: str) -> Answer:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
    return Answer(body, code, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Authority:
    """A certificate authority of a test's own."""

    name: str = "authority"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        self.certificate = (
            x509.CertificateBuilder(
                subject, subject, self.key.public_key(), 1, NOW - timedelta(days=900), NOW + timedelta(days=900)
            )
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(
        self, folder: Path, name: str = "127.0.0.1", *, starts: datetime | None = None, ends: datetime | None = None
    ) -> tuple[Path, Path]:
        """A certificate and its key as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            names = x509.DNSName(name)
        certificate = (
            x509.CertificateBuilder()
            .issuer_name(self.certificate.subject)
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(starts or NOW - timedelta(days=800))
            .not_valid_after(ends or NOW + timedelta(days=10))
            .add_extension(x509.SubjectAlternativeName([names]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        crt, pem = folder / "tls.crt", folder / "tls.key"
        crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return crt, pem


@dataclass
class Loopback:
    """A running server: its URL and what it was asked."""

    url: str
    asked: list[Request]


@contextmanager
def serving(answer: Callable[[Request], Answer], certificate: tuple[Path, Path] | None = None) -> Iterator[Loopback]:
    """Serve `answer` on a port of 127.0.0.1, over TLS if a certificate is given, until the block ends."""
    asked: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            request = Request(self.command, split.path, query, dict(self.headers), body)
            asked.append(request)
            self.respond(answer(request))

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # noqa: N815

        def respond(self, one: Answer) -> None:
            content = (
                one.body.encode()
                if isinstance(one.body, str)
                else one.body
                if isinstance(one.body, bytes)
                else json.dumps(one.body).encode()
            )
            self.send_response(one.status)
            for name, value in one.headers.items():
                self.send_header(name, value)
            if one.pieces is None:
                self.send_header("Content-Length", str(len(content) + one.cut))
                self.end_headers()
                self.wfile.write(content)
            else:
                self.send_header("Connection", "close")
                self.end_headers()
                for piece in one.pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            if one.cut or one.pieces is not None:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:  # a client that goes away is what some tests are about
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Loopback(f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def silent() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def closed_port() -> str:
    """A URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def kubeconfig(
    folder: Path, server: str, *, ca: str | None = None, context: str = "test", user: dict[str, Any] | None = None
) -> Path:
    """A kubeconfig for `server`; `ca` is PEM text."""
    cluster: dict[str, Any] = {"server": server}
    folder.mkdir(parents=True, exist_ok=True)
    if ca:
        (folder / "ca.crt").write_text(ca)
        cluster["certificate-authority"] = str(folder / "ca.crt")
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": context,
                "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": "t"} if user is None else user}],
            }
        )
    )
    return path
