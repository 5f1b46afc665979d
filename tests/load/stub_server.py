"""A small HTTP or HTTPS server on loopback that can stall, be slow, or hang up: for the generator's own tests."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

BODY = b'{"kind":"Service","apiVersion":"v1"}'


class Stub(ThreadingHTTPServer):
    """Answers every GET with a Service.

    `stall` is (begin, end) in seconds after the first request; `delay` in seconds; `trickle` seconds lie between any two
    bytes of an answer's headers; with `hang_up` a connection is closed after each answer, unannounced. `tokens` and
    `connections` are what was seen.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.delay = self.trickle = 0.0
        self.stall = (0.0, 0.0)
        self.status = 200
        self.hang_up = False
        self.tokens: set[str] = set()
        self.connections = 0
        self.scheme = "http"
        self.body = BODY
        self.first = 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Speak TLS from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "https"

    def process_request(self, request: object, client_address: object) -> None:
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def wait(self) -> None:
        with self.lock:
            self.first = self.first or time.monotonic()
        at = time.monotonic() - self.first
        begin, end = self.stall
        time.sleep(end - at if begin <= at < end else self.delay)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stub

    def do_GET(self) -> None:
        self.server.wait()
        if self.server.trickle:
            self._trickle()
            return
        self.server.tokens.add(self.headers.get("Authorization", ""))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(self.server.body)
        self.close_connection = self.server.hang_up

    def _trickle(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                self.wfile.write(bytes([byte]))
                time.sleep(self.server.trickle)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def stub() -> Iterator[Stub]:
    """A running server."""
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "stub.crt", folder / "stub.key"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pem, secret
