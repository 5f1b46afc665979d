"""What the read baseline asks for, and as whom: rows chosen on the cluster itself, and the target's credentials."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from fixtures.api import Api
from fixtures.api_connect import Link
from fixtures.limits import LOAD_PAGE, LOAD_WATCH_SECONDS
from load.scenario import LoadError, Row, Scenario, Target

READ_BASELINE = Path(__file__).parent / "read_baseline.py"

_ONE = "/api/v1/namespaces/default/services/kubernetes"
"""An object that every cluster has and that no controller takes away, so that a failed read is the server's doing."""


def read_baseline(api: Api) -> Scenario:
    """The read mix for this cluster: GET 60, LIST namespace 25, LIST cluster 5, WATCH open 10, as percentages.

    Reads of etcd (quorum) and of the watch cache (`resourceVersion=0`) are rows of their own and half of each verb.
    The namespace is the one with most pods on the first page. Raises ApiError for a row that is refused or fails.
    """
    limit = int(LOAD_PAGE.value)
    page = api.get("/api/v1/pods", {"limit": limit})
    pods = f"/api/v1/namespaces/{fullest_namespace(page.get('items') or [])}/pods"
    seconds = int(LOAD_WATCH_SECONDS.value)
    cache = "resourceVersion=0"
    rows = (
        Row("GET", "services", "resource", "quorum", _ONE, "Service", 12),
        Row("GET", "services", "resource", "cache", f"{_ONE}?{cache}", "Service", 12),
        Row("LIST", "pods", "namespace", "quorum", f"{pods}?limit={limit}", "PodList", 5),
        Row("LIST", "pods", "namespace", "cache", f"{pods}?limit={limit}&{cache}", "PodList", 5),
        Row("LIST", "pods", "cluster", "quorum", f"/api/v1/pods?limit={limit}", "PodList", 1),
        Row("LIST", "pods", "cluster", "cache", f"/api/v1/pods?limit={limit}&{cache}", "PodList", 1),
        Row("WATCH", "pods", "namespace", "cache", f"{pods}?watch=1&{cache}&timeoutSeconds={seconds}", "WatchEvent", 4),
    )
    for row in rows:
        api.text(row.path)
    return Scenario("read-baseline", READ_BASELINE, rows)


def fullest_namespace(pods: list[dict[str, Any]]) -> str:
    """The namespace of most of the pods, the first by name among equals; "default" where there is none."""
    counts = Counter(str(pod["metadata"]["namespace"]) for pod in pods)
    return min(counts, key=lambda name: (-counts[name], name)) if counts else "default"


def target(link: Link, servers: tuple[str, ...] = ()) -> Target:
    """The servers (default: the kubeconfig's) with the link's credentials. Raises LoadError for a proxy."""
    settings = link.client.configuration
    if settings.proxy:
        raise LoadError("the kubeconfig has a proxy-url; latency through a proxy is not the API server's")
    bearer = link.credentials("/version", "GET").get("authorization", "")
    return Target(
        servers=servers or (link.host,),
        ca=settings.ssl_ca_cert or "",
        certificate=settings.cert_file or "",
        key=settings.key_file or "",
        token=bearer.removeprefix("Bearer "),
        verify=link.verified,
        server_name=settings.tls_server_name or "",
    )
