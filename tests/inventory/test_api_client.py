"""The client against a real API server: what it sends, what it returns, what it refuses to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.api import Api, Conflict, Forbidden, NotFound, ReadOnlyViolation, Refused, Unauthorized
from fixtures.clusters.embedded.handle import EmbeddedCluster
from tests.inventory.conftest import Identity

SPACE = "api-client"
MAPS = f"/api/v1/namespaces/{SPACE}/configmaps"


def a_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture(scope="module")
def api(embedded: EmbeddedCluster) -> Iterator[Api]:
    found = Api.connect(embedded.kubeconfig)
    found.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    yield found
    found.delete(f"/api/v1/namespaces/{SPACE}")
    found.close()


def test_an_object_lives_through_create_get_patch_replace_and_delete(api: Api) -> None:
    made = api.create(MAPS, a_map("life", a="1"))
    assert made["metadata"]["uid"]
    assert api.patch(f"{MAPS}/life", {"data": {"b": "2"}})["data"] == {"a": "1", "b": "2"}
    now = api.get(f"{MAPS}/life")
    now["data"] = {"c": "3"}
    assert api.replace(f"{MAPS}/life", now)["data"] == {"c": "3"}
    with pytest.raises(Conflict):
        api.replace(f"{MAPS}/life", now)  # its resourceVersion is that of before
    with pytest.raises(Conflict):
        api.create(MAPS, a_map("life"))
    api.delete(f"{MAPS}/life", query={"gracePeriodSeconds": 0})
    with pytest.raises(NotFound) as error:
        api.get(f"{MAPS}/life")
    assert (error.value.status, error.value.kind) == (404, "not-found")
    assert "life" in error.value.message


def test_a_json_patch_and_a_dry_run_go_out_as_such(api: Api) -> None:
    api.create(MAPS, a_map("json-patch", a="1"))
    patch = [{"op": "replace", "path": "/data/a", "value": "2"}]
    assert api.patch(f"{MAPS}/json-patch", patch, content_type="application/json-patch+json")["data"] == {"a": "2"}
    api.create(MAPS, a_map("dry"), query={"dryRun": "All"})
    with pytest.raises(NotFound):
        api.get(f"{MAPS}/dry")


def test_what_validation_rejects_says_why(api: Api) -> None:
    with pytest.raises(Refused) as error:
        api.create(MAPS, a_map("Not A Name"))
    assert error.value.status == 422
    assert "Not A Name" in error.value.message


def test_text_is_not_parsed(api: Api) -> None:
    assert api.text("/readyz") == "ok"
    assert "apiserver_request_total" in api.text("/metrics")


def test_pages_hold_every_object_once(api: Api) -> None:
    for number in range(5):
        api.create(MAPS, a_map(f"page-{number}"))
    pages = list(api.pages(MAPS, limit=2))
    names = [item["metadata"]["name"] for page in pages for item in page["items"]]
    assert len(pages) >= 3
    assert max(len(page["items"]) for page in pages) == 2
    assert sorted(names) == sorted(item["metadata"]["name"] for item in api.get(MAPS)["items"])
    assert not any("restarted" in page["metadata"] for page in pages)


def test_a_watch_sees_what_happens_and_ends_by_itself(api: Api) -> None:
    start = api.get(MAPS)["metadata"]["resourceVersion"]
    api.create(MAPS, a_map("watched"))
    began = time.monotonic()
    events = list(api.watch(MAPS, start, 1))
    assert ("ADDED", "watched") in [(event["type"], event["object"]["metadata"]["name"]) for event in events]
    assert time.monotonic() - began < 10


def test_a_watch_can_be_left_early_and_the_client_goes_on(api: Api) -> None:
    start = api.get(MAPS)["metadata"]["resourceVersion"]
    for number in range(3):
        api.create(MAPS, a_map(f"left-{number}"))
    for event in api.watch(MAPS, start, 30):
        assert event["type"] == "ADDED"
        break
    assert api.text("/readyz") == "ok"


def test_threads_share_a_client_and_every_request_is_counted(api: Api) -> None:
    before = api.requests
    with ThreadPoolExecutor(8) as pool:
        versions = set(pool.map(lambda _: api.get("/version")["gitVersion"], range(80)))
    assert len(versions) == 1
    assert api.requests - before == 80


def test_another_server_of_the_same_cluster_can_be_named(embedded: EmbeddedCluster) -> None:
    for url in embedded.api_servers:
        one = Api.connect(embedded.kubeconfig, server=url)
        assert (one.host, one.text("/readyz")) == (url, "ok")
        one.close()


def test_a_wrong_token_and_an_identity_without_rights_are_told_apart(
    embedded: EmbeddedCluster, api: Api, identity: Callable[..., Identity]
) -> None:
    nobody = identity("nobody")
    with pytest.raises(Forbidden) as forbidden:
        Api.connect(nobody.kubeconfig).get("/api/v1/pods")
    assert "system:serviceaccount" in forbidden.value.message
    nobody.kubeconfig.write_text(nobody.kubeconfig.read_text().replace("token: ", "token: x"))
    with pytest.raises(Unauthorized):
        Api.connect(nobody.kubeconfig).get("/api/v1/pods")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("create", MAPS),
        ("replace", f"{MAPS}/x"),
        ("patch", f"{MAPS}/x"),
        ("delete", f"{MAPS}/x"),
        ("create", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
        ("create", f"/api/v1/namespaces/{SPACE}/pods/x/eviction"),
        ("get", f"/api/v1/namespaces/{SPACE}/pods/x/exec"),
        ("get", f"/api/v1/namespaces/{SPACE}/pods/x/portforward"),
    ],
)
def test_a_read_only_client_sends_no_write(embedded: EmbeddedCluster, method: str, path: str) -> None:
    api = Api.connect(embedded.kubeconfig, read_only=True)
    with pytest.raises(ReadOnlyViolation, match=r"read-only without --consent"):
        getattr(api, method)(path, *([{}] if method in {"create", "replace", "patch"} else []))
    assert api.requests == 0


def test_a_read_only_client_may_ask_what_it_may_do(embedded: EmbeddedCluster) -> None:
    api = Api.connect(embedded.kubeconfig, read_only=True)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    assert api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["status"]["userInfo"]["username"]


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/api/v1/namespaces/x/secrets", "/api/v1/namespaces/x/secrets/y"])
def test_no_client_reads_a_secret_whole(api: Api, path: str) -> None:
    before = api.requests
    with pytest.raises(ReadOnlyViolation, match="values of Secrets"):
        api.get(path)
    with pytest.raises(ReadOnlyViolation, match="values of Secrets"):
        list(api.watch(path, "0", 1))
    assert api.requests == before
