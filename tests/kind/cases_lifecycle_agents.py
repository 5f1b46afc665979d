"""Planted defects and near misses of the DaemonSet under assessment: its health endpoints, its logs and its repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from fixtures.lab.image import tag
from fixtures.lab.objects import pod_spec
from fixtures.lab.states import ended
from fixtures.lab.waiting import await_state
from tests.kind.mutations import CONTAINER, changed
from tests.proofs.case import Case, defect, near_miss

LIVE, READY = "workloads.liveness-endpoint-live", "workloads.readiness-endpoint-ready"
JSON, LEVELS, READABLE = (
    "observability.structured-json-logs",
    "observability.log-levels",
    "observability.logs-readable",
)
AGENT = "DaemonSet {ns}/agent"
Raw = dict[str, Any]


def get(path: str, **more: Any) -> Raw:
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": 1, **more}


def agent(*args: str, live: Raw | None = None, ready: Raw | None = None) -> Raw:
    """A DaemonSet of the probe's pods with these probes."""
    container = {"livenessProbe": live, "readinessProbe": ready}
    spec = pod_spec(tag(), args or ("serve",), container={key: value for key, value in container.items() if value})
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
    }


def crashed_once(api: Api, namespace: str) -> Callable[[], None]:
    """Wait until each of the case's pods has come to its end once: then each has a log."""
    collection = f"/api/v1/namespaces/{namespace}/pods"
    await_state(
        api, collection, {}, lambda pods: (pods and all(map(ended, pods.values()))) or None, 120, "the end of each pod"
    )
    return lambda: None


GOOD = agent(live=get("/live"), ready=get("/ready"))
LEVELLESS = agent("facts")

CASES: list[Case] = [
    near_miss(LIVE, "calls /live, which answers", GOOD, subject=AGENT, pods=True),
    near_miss(
        LIVE,
        "another path, as the policy file says",
        agent(live=get("/healthz"), ready=get("/ready")),
        subject=AGENT,
        pods=True,
        policy={"subjects": {"daemon_sets": {"live_path": "/healthz"}}},
    ),
    defect(LIVE, "no liveness probe", agent(ready=get("/ready")), subject=AGENT, observed="none", pods=True),
    defect(LIVE, "another path", agent(live=get("/healthz")), subject=AGENT, observed="/healthz", pods=True),
    defect(
        LIVE,
        "the endpoint answers an error, and nobody notices",
        agent(live=get("/nothing", initialDelaySeconds=600)),
        subject=AGENT,
        observed="status 404",
        pods=True,
        policy={"subjects": {"daemon_sets": {"live_path": "/nothing"}}},
    ),
    near_miss(READY, "calls /ready, which answers", GOOD, subject=AGENT, pods=True),
    defect(
        READY,
        "the same endpoint as liveness",
        agent(live=get("/ready"), ready=get("/ready")),
        subject=AGENT,
        observed="/ready, as for liveness",
        pods=True,
    ),
    near_miss(JSON, "JSON with time and event", GOOD, subject=AGENT, pods=True),
    defect(JSON, "JSON without a time", LEVELLESS, subject=AGENT, observed="0 of", arrange=crashed_once),
    near_miss(LEVELS, "a level in each line", GOOD, subject=AGENT, pods=True),
    defect(LEVELS, "no level", LEVELLESS, subject=AGENT, observed="such as 'none'", arrange=crashed_once),
    near_miss(READABLE, "as it is"),
    defect(
        READABLE,
        "something takes the log away",
        observed="the container before: ",
        alone=True,
        arrange=changed(
            "logs", f"op: 'replace', path: '{CONTAINER}/args', value: ['crash', '--after', '3s', '--code', '9']"
        ),
    ),
]
