"""The embedded cluster is what it says it is: highly available, secured, observable, with nodes that play along."""

from __future__ import annotations

import base64
import json
import signal
import ssl
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fixtures.clusters.embedded.endpoint import Client
from fixtures.clusters.embedded.errors import EmbeddedClusterError
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.embedded.versions import VERSIONS
from fixtures.limits import EMBEDDED_PROBE_TIMEOUT, LEASE_DURATION
from tests.clusters.embedded_tools import Administrator, eventually

REPLICATED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


@pytest.fixture(scope="module")
def admin(embedded: EmbeddedCluster) -> Administrator:
    return Administrator(embedded)


def _pod(name: str) -> dict[str, Any]:
    container = {"name": "app", "image": "example.com/app:1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def _stored(cluster: EmbeddedCluster, key: str) -> bytes:
    client = Client.etcd(cluster.layout)
    body = {"key": base64.b64encode(key.encode()).decode()}
    answer = client.send("POST", f"{cluster.etcd.endpoints[0]}/v3/kv/range", EMBEDDED_PROBE_TIMEOUT.value, body)
    return base64.b64decode(answer.json()["kvs"][0]["value"])


def test_thirteen_processes_run_three_of_each_component(embedded: EmbeddedCluster) -> None:
    members = embedded.members

    assert Counter(member.component for member in members) == {**dict.fromkeys(REPLICATED, 3), "kwok": 1}
    assert len({member.pid for member in members}) == 13
    for member in members:
        command = Path(f"/proc/{member.pid}/cmdline").read_bytes().split(b"\0")
        assert member.component.encode() in b" ".join(command[:2])
        assert embedded.alive(member)


def test_every_replicated_member_is_healthy(embedded: EmbeddedCluster) -> None:
    assert all(embedded.healthy(member) for member in embedded.members if member.component in REPLICATED)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_api_server_is_ready_and_tells_its_version(embedded: EmbeddedCluster, index: int) -> None:
    server = Administrator(embedded, index)

    assert server.send("GET", "/readyz").body == b"ok"
    version = server.get("/version")
    assert (version["gitVersion"], version["major"], version["minor"]) == (VERSIONS["kubernetes"], "1", "36")
    assert "$Format" not in json.dumps(version)


def test_nobody_gets_in_without_a_certificate(embedded: EmbeddedCluster) -> None:
    context = ssl.create_default_context(cafile=str(embedded.ca))

    for url in (f"{embedded.api_servers[0]}/version", embedded.member("kube-scheduler", 1).metrics_url):
        assert url is not None
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(url, context=context, timeout=EMBEDDED_PROBE_TIMEOUT.value)
        assert refusal.value.code in {401, 403}
        refusal.value.close()


def test_each_member_serves_metrics_to_the_administrator(embedded: EmbeddedCluster) -> None:
    for member in embedded.members:
        if member.metrics_url:
            client = Client.etcd if member.component == "etcd" else Client.administrator
            answer = client(embedded.layout).send("GET", member.metrics_url, EMBEDDED_PROBE_TIMEOUT.value * 5)
            assert answer.status == 200
            assert b"process_start_time_seconds" in answer.body


def test_secrets_are_encrypted_at_rest_and_config_maps_are_not(embedded: EmbeddedCluster, admin: Administrator) -> None:
    for kind, plural in (("Secret", "secrets"), ("ConfigMap", "configmaps")):
        field = "stringData" if kind == "Secret" else "data"
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "at-rest"}, field: {"word": "open-sesame"}}
        admin.create(f"/api/v1/namespaces/default/{plural}", body)

    secret = _stored(embedded, "/registry/secrets/default/at-rest")
    assert secret.startswith(b"k8s:enc:secretbox:v1:key-1:")
    assert b"open-sesame" not in secret
    assert b"open-sesame" in _stored(embedded, "/registry/configmaps/default/at-rest")


def test_the_audit_log_tells_who_did_what_but_no_secret(embedded: EmbeddedCluster, admin: Administrator) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "audited"}, "stringData": {"word": "shibboleth"}}
    admin.create("/api/v1/namespaces/default/secrets", body)

    text = embedded.layout.audit_log(0).read_text()
    events = [json.loads(line) for line in text.splitlines()]
    [event] = [event for event in events if event.get("objectRef", {}).get("name") == "audited"]
    assert (event["verb"], event["user"]["username"], event["level"]) == ("create", "kubernetes-admin", "Metadata")
    assert "shibboleth" not in text
    assert base64.b64encode(b"shibboleth").decode() not in text


def test_a_service_account_token_is_known_by_every_api_server(embedded: EmbeddedCluster, admin: Administrator) -> None:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = admin.create("/api/v1/namespaces/default/serviceaccounts/default/token", request)["status"]["token"]

    for index in range(3):
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        reviewed = Administrator(embedded, index).create("/apis/authentication.k8s.io/v1/tokenreviews", review)
        assert reviewed["status"]["user"]["username"] == "system:serviceaccount:default:default"


def test_the_service_kubernetes_lists_all_api_servers(admin: Administrator) -> None:
    def addresses() -> list[str]:
        listed = admin.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
        return sorted(address for endpoint in listed["endpoints"] for address in endpoint["addresses"])

    eventually(lambda: addresses() == ["192.0.2.11", "192.0.2.12", "192.0.2.13"], "three addresses of API servers")


def test_each_api_server_has_an_identity_of_its_own(admin: Administrator) -> None:
    def identities() -> set[str]:
        selector = "labelSelector=apiserver.kubernetes.io%2Fidentity%3Dkube-apiserver"
        leases = admin.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases?{selector}")
        return {lease["spec"]["holderIdentity"] for lease in leases["items"]}

    eventually(lambda: len(identities()) == 3, "three identity Leases")


@pytest.mark.parametrize("component", ["kube-controller-manager", "kube-scheduler"])
def test_leaders_are_elected_with_the_default_lease(
    embedded: EmbeddedCluster, admin: Administrator, component: str
) -> None:
    lease = admin.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{component}")

    assert lease["spec"]["leaseDurationSeconds"] == LEASE_DURATION.value
    eventually(lambda: embedded.leader(component) is not None, "a member that says it leads")


def test_one_etcd_member_leads(embedded: EmbeddedCluster) -> None:
    eventually(lambda: embedded.etcd_leader() is not None, "an etcd member that leads")


def test_nodes_lie_in_three_zones_and_keep_something_back(admin: Administrator) -> None:
    nodes = admin.get("/api/v1/nodes")["items"]
    planes = [node for node in nodes if "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]]
    zones = Counter(node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes)

    assert (len(nodes), len(planes)) == (9, 3)
    assert zones == {"region-1a": 3, "region-1b": 3, "region-1c": 3}
    for node in nodes:
        assert node["status"]["allocatable"]["memory"] != node["status"]["capacity"]["memory"]
        assert node["spec"]["podCIDR"]
        assert node["metadata"]["annotations"]["kwok.x-k8s.io/node"] == "fake"


def test_pods_run_jobs_succeed_and_deleted_pods_go(admin: Administrator) -> None:
    pods = "/api/v1/namespaces/default/pods"
    admin.create(pods, _pod("runs"))
    template = {"spec": {**_pod("")["spec"], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "works"}, "spec": {"template": template}}
    admin.create("/apis/batch/v1/namespaces/default/jobs", job)

    eventually(lambda: admin.get(f"{pods}/runs")["status"]["phase"] == "Running", "a pod that runs")
    jobs = "/apis/batch/v1/namespaces/default/jobs/works"
    eventually(lambda: admin.get(jobs)["status"].get("succeeded") == 1, "a job that succeeds")
    admin.send("DELETE", f"{pods}/runs")
    eventually(lambda: admin.send("GET", f"{pods}/runs").status == 404, "a deleted pod that goes")


def test_a_killed_api_server_comes_back_at_its_address(embedded: EmbeddedCluster) -> None:
    before = embedded.member("kube-apiserver", 1)

    assert embedded.signal(before, signal.SIGKILL)
    eventually(lambda: embedded.member("kube-apiserver", 1).ended, "the record of its end")
    assert embedded.member("kube-apiserver", 1).ended == "killed by SIGKILL"
    assert not embedded.alive(before)
    assert not embedded.healthy(before)
    assert not embedded.signal(before, signal.SIGKILL)
    after = embedded.restart("kube-apiserver", 1)

    assert embedded.healthy(after)
    assert after.url == before.url
    assert after.pid != before.pid
    assert after.ended is None
    assert embedded.member("kube-apiserver", 1) == after


def test_a_killed_etcd_member_rejoins_with_its_data(embedded: EmbeddedCluster) -> None:
    leader = embedded.etcd_leader()
    assert leader is not None

    embedded.signal(leader, signal.SIGKILL)
    eventually(lambda: embedded.etcd_leader() is not None, "another etcd member that leads")
    successor = embedded.etcd_leader()
    assert successor is not None
    assert successor.index != leader.index
    assert embedded.healthy(embedded.restart("etcd", leader.index))


def test_nodes_are_played_on_when_their_api_server_is_lost(embedded: EmbeddedCluster) -> None:
    kwok = embedded.member("kwok")
    embedded.signal(embedded.member("kube-apiserver", 0), signal.SIGKILL)
    try:
        eventually(lambda: embedded.member("kwok").pid != kwok.pid, "kwok at another API server")
        other = Administrator(embedded, 1)
        other.create("/api/v1/namespaces/default/pods", _pod("runs-on"))
        path = "/api/v1/namespaces/default/pods/runs-on"
        eventually(lambda: other.get(path)["status"]["phase"] == "Running", "a pod that runs")
    finally:
        embedded.restart("kube-apiserver", 0)


def test_nodes_are_played_on_after_kwok_was_killed(embedded: EmbeddedCluster, admin: Administrator) -> None:
    killed = embedded.member("kwok")
    embedded.signal(killed, signal.SIGKILL)
    eventually(lambda: embedded.member("kwok").ended, "the record of its end")

    assert embedded.alive(embedded.restart("kwok"))

    admin.create("/api/v1/namespaces/default/pods", _pod("runs-again"))
    path = "/api/v1/namespaces/default/pods/runs-again"
    eventually(lambda: admin.get(path)["status"]["phase"] == "Running", "a pod that runs")


def test_another_process_can_load_the_cluster(embedded: EmbeddedCluster) -> None:
    loaded = EmbeddedCluster.load(embedded.state)

    assert loaded.members == embedded.members


def test_what_is_no_member_cannot_be_restarted(embedded: EmbeddedCluster) -> None:
    with pytest.raises(EmbeddedClusterError, match="there is no kube-proxy 7"):
        embedded.restart("kube-proxy", 7)


def test_a_folder_without_a_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedClusterError, match="no embedded cluster in"):
        EmbeddedCluster.load(tmp_path)
