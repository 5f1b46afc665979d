"""The health endpoints of the assessed DaemonSet, asked as the kubelet asks them, and the repair of its pods."""

from __future__ import annotations

import time
from collections.abc import Iterator

from fixtures import limits
from fixtures.api import ApiError, Forbidden
from fixtures.lab import Missed, Workbench
from fixtures.lab.place import is_ready, refused
from fixtures.lab.refusal import lacks_rights
from fixtures.lab.waiting import Objects, await_state
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Container, Node, Pod, Raw, Reader, Workload

LIVENESS, READINESS = "livenessProbe", "readinessProbe"
POOLS = (
    "eks.amazonaws.com/nodegroup", "cloud.google.com/gke-nodepool", "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool", "node.kubernetes.io/instance-type",
)  # fmt: skip
"""The labels that tell pools of nodes apart."""
UNREACHED = "error trying to reach service"
"""What the API server says when the connection to the pod fails, which says nothing about the endpoint."""


@readiness(
    "workloads.liveness-endpoint-live",
    severity="high",
    needs=("pods",),
    reads=("nodes",),
    consent="probes",
    uses=("pods/proxy",),
)
def test_liveness_endpoint_is_live(
    daemon_set: Workload, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """The liveness probe calls /live, and the endpoint answers with success.

    Why: A liveness probe of another path, or one that answers an error, restarts good pods or keeps bad ones.
    How: Each httpGet liveness probe of the DaemonSet under assessment names the path /live (subjects.daemon_sets.live_path).
        Through the API server's pod proxy, one Ready pod of each pool of nodes is asked for it; 200 to 399 is success.
    Fix: Set `livenessProbe.httpGet: {path: /live, port: ...}` and serve it.
    Does not prove: That the endpoint tells the truth about a hang.
    """
    _judge(findings, daemon_set, inventory, lab, LIVENESS, policy.subjects.daemon_sets.live_path)


@readiness(
    "workloads.readiness-endpoint-ready",
    severity="high",
    needs=("pods",),
    reads=("nodes",),
    consent="probes",
    uses=("pods/proxy",),
)
def test_readiness_endpoint_is_ready(
    daemon_set: Workload, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """The readiness probe calls /ready, which is not the liveness path, and succeeds.

    Why: One endpoint for both restarts a pod where it should only lose its traffic for a while.
    How: Each httpGet readiness probe of the DaemonSet under assessment names the path /ready (subjects.daemon_sets.ready_path),
        which is not that of the same container's liveness probe. Through the API server's pod proxy, one Ready pod of each pool
        of nodes is asked for it; 200 to 399 is success.
    Fix: Set `readinessProbe.httpGet: {path: /ready, port: ...}` and serve it.
    Does not prove: That the endpoint answers an error while the pod cannot serve.
    """
    for container in daemon_set.containers:
        live, ready = (_path(container.probe(kind)) for kind in (LIVENESS, READINESS))
        if ready:
            findings.expect(
                ready != live, container, expected="a path of its own", observed=f"{ready}, as for liveness"
            )
    _judge(findings, daemon_set, inventory, lab, READINESS, policy.subjects.daemon_sets.ready_path)


def _judge(findings: Findings, workload: Workload, inventory: Reader, lab: Workbench, kind: str, wanted: str) -> None:
    probed = [container for container in workload.containers if container.probe(kind)]
    findings.expect(bool(probed), f"{workload.pod_spec_path}.containers", expected=f"a {kind}", observed="none")
    for container in probed:
        path = _path(container.probe(kind))
        findings.expect(
            path == wanted, f"{container}.{kind}", expected=f"httpGet of {wanted}", observed=path or "no httpGet"
        )
    asked = [(pod, one) for pod in _one_of_each_pool(workload, inventory) for one in probed if _path(one.probe(kind))]
    if not asked and not findings.failures:
        findings.not_assessed("no pod is Ready, so none was asked")
    for pod, container in asked:
        problem = _asked(findings, lab, pod, container, container.probe(kind) or {})
        findings.expect(
            not problem, f"{pod.name}, {container.name}", expected="an answer from 200 to 399", observed=problem
        )


def _path(probe: Raw | None) -> str:
    return str(((probe or {}).get("httpGet") or {}).get("path") or "")


def _one_of_each_pool(workload: Workload, inventory: Reader) -> Iterator[Pod]:
    nodes = {node.short_name: node for node in map(Node, inventory.objects("nodes"))}
    seen = set()
    for pod in workload.pods:
        labels = (nodes[pod.node].raw["metadata"].get("labels") or {}) if pod.node in nodes else {}
        pool = tuple(labels.get(name) for name in POOLS)
        if pod.ready and pool not in seen:
            seen.add(pool)
            yield pod


def _asked(findings: Findings, lab: Workbench, pod: Pod, container: Container, probe: Raw) -> str:
    """What is wrong with the answer of one pod, "" where nothing is. Ends the check where the pod cannot be reached."""
    lab.allows("pods/proxy")
    get = probe["httpGet"]
    port = get["port"]
    for one in container.raw.get("ports") or ():
        port = one["containerPort"] if one.get("name") == port else port
    scheme = "https:" if get.get("scheme") == "HTTPS" else ""
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{scheme}{pod.short_name}:{port}/proxy{get['path']}"
    try:
        lab.api.raw("GET", path, accept="*/*", timeout=limits.PROBE_QUESTION_TIMEOUT.value)
    except ApiError as error:
        if not error.status or UNREACHED in error.message or (isinstance(error, Forbidden) and lacks_rights(error)):
            findings.not_assessed(f"{pod.name} could not be asked: {error}")
        return f"status {error.status}"
    return ""


@readiness(
    "workloads.automatic-restart",
    severity="high",
    needs=("api",),
    consent="disruption",
    uses=("pods:delete", "pods:list", "pods:watch"),
)
def test_lost_agents_come_back(daemon_set: Workload, findings: Findings, lab: Workbench, policy: Policy) -> None:
    """A lost pod of the DaemonSet is replaced on the same node without help.

    Why: An agent that does not come back leaves its node without logs, network or storage until somebody looks.
    How: One Ready pod of the DaemonSet under assessment is deleted, with its own grace; another must be Ready on the same node
        within 120 s.
    Fix: Fix start-up failures, and keep the template admissible, so that the controller can create the pod again.
    Does not prove: That a process which dies inside its pod is restarted (workloads.failed-containers-restarted).
    """
    bound = policy.limit(limits.REPLACEMENT)
    victim = next((pod for pod in daemon_set.pods if pod.ready), None)
    if victim is None:
        findings.not_assessed("no pod is Ready, so none was deleted")
    lab.allows("pods:delete")
    path = f"/api/v1/namespaces/{victim.namespace}/pods"
    began = time.monotonic()
    try:
        lab.api.delete(f"{path}/{victim.short_name}", {"preconditions": {"uid": victim.raw["metadata"]["uid"]}})
    except ApiError as error:
        raise refused(error, f"delete the pod {victim.name}") from error
    lab.tell("delete", resource="pods", namespace=victim.namespace, name=victim.short_name, node=victim.node)

    def back(pods: Objects) -> bool | None:
        found = (
            pod
            for pod in pods.values()
            if _owner(pod) == _owner(victim.raw) and pod["spec"].get("nodeName") == victim.node
        )
        return (
            True
            if any(is_ready(pod) and pod["metadata"]["uid"] != victim.raw["metadata"]["uid"] for pod in found)
            else None
        )

    observed = "replaced"
    try:
        await_state(lab.api, path, {}, back, bound, "a Ready pod on the same node")
    except Missed as missed:
        observed = str(missed)
    findings.expect(
        observed == "replaced",
        f"the pod of node {victim.node}",
        expected=f"replaced within {bound:g} s",
        observed=observed,
    )
    findings.measure("deletion to the next ready pod", time.monotonic() - began, "s", bound)


def _owner(pod: Raw) -> str:
    return next((str(one["uid"]) for one in pod["metadata"].get("ownerReferences") or () if one.get("controller")), "")
