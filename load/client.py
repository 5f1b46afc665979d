"""HTTP/1.1 to the API servers: kept-alive connections, no hidden retries, and failures classed by what happened."""

from __future__ import annotations

import http.client
import select
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from load.scenario import Row, Target

HEADERS = {"Accept": "application/json", "User-Agent": "kubeworthy-load"}


class RequestError(Exception):
    """A request without a usable answer; `code` says why, in the words of load.samples.Sample."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(slots=True)
class Answer:
    """An answer whose headers have arrived. `finish` reads the rest."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    server: int


class Client:
    """Connections to every server of a target, reused last in, first out, as Go's transport does."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._servers = [urlsplit(server) for server in target.servers]
        self._timeout = timeout
        self._tls = target.tls()
        self._server_name = target.server_name
        self._headers = {**HEADERS, **({"Authorization": f"Bearer {target.token}"} if target.token else {})}
        self._idle: list[list[http.client.HTTPConnection]] = [[] for _ in self._servers]
        self.opened = 0

    def open(self, server: int, path: str) -> Answer:
        """Send a GET and wait for the headers. Raises RequestError; a failed connection is closed and not reused."""
        connection = self._connection(server)
        try:
            connection.request("GET", self._servers[server].path.rstrip("/") + path, headers=self._headers)
            return Answer(connection, connection.getresponse(), server)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise classed(error) from error

    def finish(self, answer: Answer) -> bytes:
        """Read the body and keep the connection. Raises RequestError when the answer breaks off."""
        try:
            body = answer.response.read()
        except (OSError, http.client.HTTPException) as error:
            answer.connection.close()
            raise classed(error) from error
        if answer.response.will_close:
            answer.connection.close()
        else:
            self._idle[answer.server].append(answer.connection)
        return body

    def get(self, server: int, path: str) -> tuple[int, bytes]:
        """One whole request: status and body. Raises RequestError."""
        answer = self.open(server, path)
        return answer.response.status, self.finish(answer)

    def close(self) -> None:
        """Close every idle connection."""
        for idle in self._idle:
            while idle:
                idle.pop().close()

    def _connection(self, server: int) -> http.client.HTTPConnection:
        idle = self._idle[server]
        while idle:
            connection = idle.pop()
            # Readable before anything was asked: the server has hung up. Go's transport drops such a connection, too.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()
        self.opened += 1
        url = self._servers[server]
        if url.scheme == "https":
            return _Tls(url.hostname or "", url.port, self._timeout, self._tls, self._server_name)
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=self._timeout)


class _Tls(http.client.HTTPSConnection):
    """A connection that may expect another name in the certificate than the one it dials (tls-server-name)."""

    def __init__(self, host: str, port: int | None, timeout: float, tls: ssl.SSLContext, server_name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=tls)
        self._tls, self._expected = tls, server_name or host

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._expected)


def classed(error: OSError | http.client.HTTPException) -> RequestError:
    """Class a failure of the network or of HTTP."""
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, "timeout"),
        (ssl.SSLCertVerificationError, "tls"),
        (ConnectionRefusedError, "refused"),
        (http.client.RemoteDisconnected, "closed"),
        (ConnectionError, "reset"),
        (ssl.SSLError, "tls"),
        (http.client.IncompleteRead, "closed"),
        (http.client.HTTPException, "wrong-answer"),
    )
    code = next((code for kind, code in kinds if isinstance(error, kind)), "network")
    return RequestError(code, str(error) or type(error).__name__)


def right_kind(row: Row, body: bytes) -> bool:
    """Whether a body is the object or list that the row asks for: the API server writes `kind` first."""
    return body.startswith(b'{"kind":"' + row.kind.encode() + b'"') and body.rstrip().endswith(b"}")
