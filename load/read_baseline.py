"""The locustfile of the read baseline: GET, LIST in a namespace, LIST of the cluster and WATCH, in open loop.

It is no module to import: Locust loads it in its own process, with the plan that load.runner wrote. load.mix says what
is read.
"""

from __future__ import annotations

from load.open_loop import OpenLoopUser, taken_plan


class ReadBaseline(OpenLoopUser):
    """The one user of the read baseline."""

    plan = taken_plan()
