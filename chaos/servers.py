"""The API servers of a cluster, each by itself and as one that fails over."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from chaos.prober import Target
from fixtures.api import Api, ServerFault, TimedOut, Unreachable
from fixtures.api_connect import Link, open_link
from fixtures.limits import CHAOS_CALL_DEADLINE

T = TypeVar("T")

AWAY = (Unreachable, TimedOut, ServerFault)
"""The errors that say that this server is away, so that a client asks the next one."""


@dataclass(frozen=True)
class Server:
    """One API server: its client, and what a prober needs to ask it on connections of its own."""

    api: Api
    link: Link
    context: ssl.SSLContext

    @property
    def name(self) -> str:
        """Host and port, as it stands in reports."""
        return urlsplit(self.api.host).netloc

    def target(self, path: str, expect: bytes = b"") -> Target:
        """A probe's target on this server, with this client's credentials."""
        url = urlsplit(self.api.host)
        headers = self.link.credentials(path, "GET")
        return Target(url.hostname or "", url.port or 443, path, self.context, headers, expect)


class Servers:
    """All API servers of a cluster, in a fixed order."""

    def __init__(self, kubeconfig: Path, urls: Sequence[str]) -> None:
        """Load the credentials for each URL; no request is sent. Raises fixtures.api.Unauthorized if they cannot be
        had.
        """
        if not urls:
            raise ValueError("a cluster without an API server")
        self.all = tuple(_server(kubeconfig, url) for url in urls)

    def any(self, call: Callable[[Api], T]) -> T:
        """What the first server answers that is there; each is asked once. Raises the last server's ApiError."""
        *others, last = self.all
        for server in others:
            try:
                return call(server.api)
            except AWAY:
                continue
        return call(last.api)

    def of(self, url: str) -> Server:
        """The server with this URL. Raises KeyError."""
        return next(iter(server for server in self.all if server.api.host == url.rstrip("/")))

    def apis(self, first: int = 0) -> tuple[Api, ...]:
        """The clients of all servers, beginning with number `first`, counted round."""
        apis = tuple(server.api for server in self.all)
        first %= len(apis)
        return apis[first:] + apis[:first]

    def close(self) -> None:
        """Close the idle connections."""
        for server in self.all:
            server.api.close()


def _server(kubeconfig: Path, url: str) -> Server:
    api = Api.connect(kubeconfig, server=url, timeout=CHAOS_CALL_DEADLINE.value)
    link = open_link(kubeconfig, None, url)
    configuration = link.client.configuration
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return Server(api, link, context)
