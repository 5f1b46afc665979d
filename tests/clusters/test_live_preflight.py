"""Opening a live cluster: one clear message for each thing that can be wrong, and not a single write."""

# ruff: noqa: F811  # pytest finds a fixture by the name of the parameter

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.api import Api, ReadOnlyViolation
from fixtures.clusters import Cluster, ClusterError, kubeconfig, live
from fixtures.clusters.access import open_api
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.live import open_live
from fixtures.inventory import KINDS, Inventory
from fixtures.limits import Limit
from tests.inventory.conftest import Identity, admin, identity  # noqa: F401
from tests.inventory.loopback import (
    NOW,
    Answer,
    Authority,
    Request,
    a_status,
    closed_port,
    serving,
    silent,
)
from tests.inventory.loopback import kubeconfig as write

MakeIdentity = Callable[..., Identity]


@pytest.fixture(autouse=True)
def no_kubeconfig_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def message(kubeconfig_file: Path | None, context: str | None = None, namespaces: tuple[str, ...] = ()) -> str:
    with pytest.raises(ClusterError) as error:
        open_live(kubeconfig_file, context, namespaces)
    assert "\n" not in str(error.value)
    return str(error.value)


def kubernetes(request: Request) -> Answer:
    """The least that a server has to answer to be taken for an API server."""
    if request.path == "/version":
        return Answer({"gitVersion": "v1.36.3"})
    return Answer({"status": {"resourceRules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}]}}, 201)


def test_a_live_cluster_opens(embedded: EmbeddedCluster) -> None:
    cluster = open_live(embedded.kubeconfig, None)
    assert (cluster.kind, cluster.capabilities) == ("live", frozenset({"api", "objects"}))
    assert cluster.id.startswith("live-")
    assert Cluster.from_json(json.loads(json.dumps(cluster.to_json()))) == cluster


def test_the_kubeconfig_is_found_where_kubectl_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(kubernetes) as server:
        usual = write(tmp_path / "home" / ".kube", server.url, context="usual")
        usual.rename(usual.with_name("config"))
        assert open_live(None, None).context == "usual"
        first = write(tmp_path / "first", server.url, context="first")
        second = write(tmp_path / "second", server.url, context="second")
        monkeypatch.setenv("KUBECONFIG", f"{first}{os.pathsep}{tmp_path / 'missing'}{os.pathsep}{second}")
        assert open_live(None, None).id == "live-first"
        cluster = open_live(None, "second")
        assert cluster.context == "second"
        api = open_api(cluster, tmp_path / "shared")
        assert api is not None
        assert api.get("/version")
        assert open_live(usual.with_name("config"), None).context == "usual"


def test_without_any_kubeconfig_the_message_says_where_it_was_looked_for() -> None:
    assert all(word in message(None) for word in ("--kubeconfig", "KUBECONFIG", "~/.kube/config", "ServiceAccount"))


def test_inside_a_pod_the_service_account_is_used(
    embedded: EmbeddedCluster,
    identity: MakeIdentity,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    who = identity("in-a-pod", cluster=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    config = yaml.safe_load(who.kubeconfig.read_text())
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(config["users"][0]["user"]["token"])
    (account / "ca.crt").write_text(Path(embedded.ca).read_text())
    (account / "namespace").write_text("default")
    host, port = embedded.api_servers[0].removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(live, "_SERVICE_ACCOUNT", account)
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(account / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(account / "ca.crt"))
    cluster = open_live(None, None)
    assert (cluster.id, cluster.kubeconfig, cluster.context) == ("live-in-cluster", None, None)
    api = open_api(cluster, tmp_path / "shared")
    assert api is not None
    assert api.get("/api/v1/pods")["kind"] == "PodList"
    assert "pass --kubeconfig" in message(None, "some-context")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1\nb: [}\n", r":2: not YAML"),
        ("just text", "not a kubeconfig"),
        ("apiVersion: v1\nkind: Pod\n", "not a kubeconfig"),
        ("\x00", "not YAML"),
        ("contexts: 7\n", "not a list of named entries"),
        ("contexts: [{name: a, context: [1]}]\n", "the entry a of its contexts is not a mapping"),
        ("contexts: []\n", "no current context; pass --context, one of: none"),
        ("current-context: a\ncontexts: [{name: b, context: {}}]\n", "no context a"),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: d}]\n",
            "c, is not in the file; it has: d",
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c}]\n",
            "has no server URL",
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: 'https://x'}}]\n",
            "u, is not in the file; it has: none",
        ),
    ],
)
def test_a_file_that_is_no_kubeconfig_says_why(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    text = message(path)
    assert str(path) in text
    assert re.search(words, text), text


def test_a_missing_file_and_a_folder_say_what_to_do(tmp_path: Path) -> None:
    assert "no such file; pass --kubeconfig FILE, or set KUBECONFIG" in message(tmp_path / "nope")
    assert "cannot be read (Is a directory)" in message(tmp_path)


def test_an_unknown_context_names_the_nearest_and_all(tmp_path: Path) -> None:
    text = message(write(tmp_path, "https://127.0.0.1:1", context="production"), "prodution")
    assert "no context prodution; did you mean production?" in text
    assert "It has: production" in text


def test_a_server_that_cannot_be_reached_says_which(tmp_path: Path) -> None:
    url = closed_port()
    assert f"context test: no connection to {url} (Connection refused)" in message(write(tmp_path, url))
    assert "does not resolve" in message(write(tmp_path, "https://no-such-host.invalid"))


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Limit("api.preflight-deadline", 0.3, "s", "this test")
    monkeypatch.setattr(live, "API_PREFLIGHT_DEADLINE", short)
    with silent() as url:
        began = time.monotonic()
        assert "gave no answer within 0.3" in message(write(tmp_path, url))
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer("<html>hello</html>"), "not JSON: '<html>hello</html>'"),
        (Answer({"hello": "world"}), "not as a Kubernetes API server does"),
        (Answer([]), "not as a Kubernetes API server does"),
        (Answer("nope", 404), "is no Kubernetes API server"),
        (Answer("bad gateway", 502), "HTTP 502"),
        (
            a_status(401, "Unauthorized", "Unauthorized"),
            "does not accept the credentials of user u (401 Unauthorized); log in again",
        ),
        (a_status(403, "Forbidden", "no"), "forbids everything (403), even /version"),
        (Answer("<html>proxy says no</html>", 403), "forbids everything (403), even /version"),
    ],
)
def test_a_server_that_answers_wrongly_is_named(tmp_path: Path, answer: Answer, words: str) -> None:
    with serving(lambda _: answer) as server:
        assert words in message(write(tmp_path, server.url))


def test_the_certificates_of_server_and_client_are_looked_at(tmp_path: Path) -> None:
    authority, ends = Authority(), NOW - timedelta(days=2)
    day = f"{ends:%Y-%m-%d %H:%M} UTC"
    with serving(kubernetes, authority.issue(tmp_path / "old", ends=ends)) as server:
        assert f"expired on {day}; renew" in message(write(tmp_path, server.url, ca=authority.pem))
    with serving(kubernetes, authority.issue(tmp_path / "new")) as server:
        assert "certificate-authority-data" in message(write(tmp_path, server.url, ca=Authority("x").pem))
        crt, key = authority.issue(tmp_path / "client", "somebody", ends=ends)
        files = {"client-certificate": str(crt), "client-key": str(key)}
        text = message(write(tmp_path, server.url, ca=authority.pem, user=files))
        assert f"the client certificate of user u expired on {day}; issue a new one" in text
        inline = {"client-certificate-data": base64.b64encode(crt.read_bytes()).decode()}
        assert f"expired on {day}" in message(write(tmp_path, server.url, ca=authority.pem, user=inline))
        assert server.asked == []
        assert "cannot be read" in message(write(tmp_path, server.url, user={"client-certificate": "/no/such"}))
        assert "not a PEM" in message(write(tmp_path, server.url, user={"client-certificate-data": "aGk="}))


def token(claims: dict[str, Any]) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)
    ]
    return ".".join([*parts, "signature"])


def test_a_token_past_its_date_is_told_before_it_is_sent(tmp_path: Path) -> None:
    ends = NOW - timedelta(hours=5)
    with serving(kubernetes) as server:
        text = message(write(tmp_path, server.url, user={"token": token({"exp": ends.timestamp()})}))
        assert f"the token of user u expired on {ends:%Y-%m-%d %H:%M} UTC; log in again" in text
        assert server.asked == []
        for fine in (token({"exp": (NOW + timedelta(hours=5)).timestamp()}), token({}), "a.b.c", "plain"):
            assert open_live(write(tmp_path, server.url, user={"token": fine}), None)


def test_a_plugin_that_fails_is_named(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "no-such-plugin-here",
        "interactiveMode": "Never",
    }
    assert "no-such-plugin-here" in message(write(tmp_path, "https://127.0.0.1:1", user={"exec": plugin}))


def test_an_identity_that_may_read_nothing_is_told_so(identity: MakeIdentity) -> None:
    text = message(identity("reads-nothing").kubeconfig, None, ("kube-system",))
    assert "may read nothing (403), neither in the whole cluster nor in the namespace default, kube-system" in text


def test_rights_in_a_namespace_of_the_scope_are_enough(identity: MakeIdentity) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    who = identity("reads-one-namespace", inside={"kube-system": rules})
    assert open_live(who.kubeconfig, None, ("kube-system",))
    assert "may read nothing" in message(who.kubeconfig)


def test_the_whole_live_path_writes_nothing(embedded: EmbeddedCluster, identity: MakeIdentity, tmp_path: Path) -> None:
    who = identity("looks-at-all", cluster=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    cluster = open_live(who.kubeconfig, None)
    api = open_api(cluster, tmp_path)
    assert api is not None
    inventory = Inventory.open(cluster, api, tmp_path, ("default",))
    for kind in KINDS:
        inventory.objects(kind)
    inventory.fingerprint()
    with pytest.raises(ReadOnlyViolation):
        api.delete("/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
    seen = audited(embedded, who.user)
    assert ("list", "pods") in seen
    assert {verb for verb, _ in seen} == {"get", "list", "create"}
    assert {resource for verb, resource in seen if verb == "create"} <= {
        "selfsubjectaccessreviews",
        "selfsubjectrulesreviews",
    }


def audited(embedded: EmbeddedCluster, user: str) -> set[tuple[str, str]]:
    """What `user` did, from the audit logs of all servers: (verb, resource)."""
    found = set()
    for index in range(len(embedded.api_servers)):
        for line in Path(embedded.layout.audit_log(index)).read_text().splitlines():
            event = json.loads(line)
            if event["user"].get("username") == user:
                found.add((event["verb"], event.get("objectRef", {}).get("resource", "")))
    return found


def test_consent_makes_a_client_that_writes(embedded: EmbeddedCluster, tmp_path: Path) -> None:
    cluster = open_live(embedded.kubeconfig, None)
    own = Cluster("e", "embedded", frozenset(), embedded.kubeconfig)
    opened = [open_api(cluster, tmp_path), open_api(cluster, tmp_path, consent=True), open_api(own, tmp_path)]
    assert [api is not None and api.read_only for api in opened] == [True, False, False]
    assert open_api(Cluster("s", "snapshot", frozenset()), tmp_path) is None


def test_workers_on_a_live_cluster_share_one_budget(embedded: EmbeddedCluster, tmp_path: Path) -> None:
    cluster = open_live(embedded.kubeconfig, None)
    for _ in range(3):
        api: Api | None = open_api(cluster, tmp_path)
        assert api is not None
        api.get("/version")
    assert json.loads((tmp_path / "budget.json").read_text())[2] == 3


@pytest.mark.parametrize(
    ("context", "start"),
    [
        ("prod", "live-prod"),
        ("arn:aws:eks:eu-west-1:12:cluster/prod", "live-arn-aws-eks-eu-west-1-12-cluster-prod-"),
        ("__", "live-"),
    ],
)
def test_the_id_comes_from_the_context(tmp_path: Path, context: str, start: str) -> None:
    with serving(kubernetes) as server:
        assert open_live(write(tmp_path, server.url, context=context), None).id.startswith(start)


def test_contexts_that_look_alike_have_different_ids(tmp_path: Path) -> None:
    with serving(kubernetes) as server:
        ids = {
            open_live(write(tmp_path / str(n), server.url, context=name), None).id
            for n, name in enumerate(["a-b", "a/b", "A_b", "a b"])
        }
    assert len(ids) == 4


@settings(deadline=None)  # no verdict may hang on how busy the machine is
@given(text=st.text(max_size=100) | st.binary(max_size=100))
def test_any_file_is_a_kubeconfig_or_one_clear_message(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    path = tmp_path_factory.mktemp("hypothesis") / "config"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ClusterError) as error:
        kubeconfig.context(path, None)
    assert "\n" not in str(error.value)
