"""The ground that a session's experiments stand on: the cluster, its API servers, and one canary namespace that goes
with the session.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos import restore, workloads
from chaos.servers import Servers
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.undo import Journal, Promise


class Ground:
    """Use it as a context manager: entering makes the namespace, leaving removes it and waits until it is gone."""

    def __init__(self, state: Path) -> None:
        """`state` is the embedded cluster's state folder. Nothing is touched yet. Raises EmbeddedClusterError."""
        self.state = state
        self.cluster = EmbeddedCluster.load(state)
        self.servers = Servers(self.cluster.kubeconfig, self.cluster.api_servers)
        self.session = uuid.uuid4().hex[:8]
        self.namespace = workloads.namespace_of(self.session)
        self._journal: Journal | None = None

    def __enter__(self) -> Self:
        """Make the namespace. Raises UndoError, ApiError, MissedError; then nothing is left."""
        self._journal = Journal.open(self.state, self.session, "canaries")
        try:
            (self.state / "chaos").mkdir(exist_ok=True)  # where a person puts the file that stops an experiment
            self._journal.promise(Promise("remove", name=self.namespace))
            workloads.create_namespace(self.servers, self.namespace, self.session)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the namespace. Raises what the removal raises; the undo journal then stays for `cleanup`. Can be
        called twice.
        """
        if self._journal is not None:
            restore.keep(self._journal, self.cluster, self.servers)
            self._journal.settle()
            self._journal = None
        self.servers.close()
