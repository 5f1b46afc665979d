"""What can go wrong with the machine."""

from __future__ import annotations

from fixtures.clusters import ClusterError


class MachineError(ClusterError):
    """The machine could not be made ready for kind, or not be put back; the text is one message."""
