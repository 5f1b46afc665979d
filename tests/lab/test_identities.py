"""Acting as another identity, and asking admission: who asks, what comes back, and what counts as a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.api import Api, Unauthorized
from fixtures.catalogue import load
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.lab import Lab, Workbench, objects
from fixtures.lab.asked import compliant
from fixtures.readiness import Decided
from reports.words import Verdict

CHECK = load()["pod-security.standards-in-every-namespace"]
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
def api(embedded: EmbeddedCluster) -> Api:
    return Api.connect(embedded.kubeconfig)


@pytest.fixture
def lab(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Lab(api, tmp_path / "bundle", image="registry.invalid/probe:1", say=lambda line: None)
    yield made
    assert made.close()


def bench(lab: Lab, *uses: str) -> Workbench:
    return lab.bench(replace(CHECK, uses=uses))


def test_an_account_asks_as_itself_and_carries_nothing_of_the_run_s_own_credentials(lab: Lab) -> None:
    with bench(lab, "namespaces", "serviceaccounts", "serviceaccounts/token").place("account") as place:
        account = place.as_account("someone")

        who = account.create(WHO, {})["status"]["userInfo"]

        assert who["username"] == f"system:serviceaccount:{place.name}:someone"
        assert "system:masters" not in who["groups"]


def test_nobody_is_let_in_without_credentials(api: Api) -> None:
    nobody = api.as_bearer("")

    with pytest.raises(Unauthorized):
        nobody.get("/api/v1/namespaces")


def test_another_identity_is_as_read_only_as_the_run(embedded: EmbeddedCluster) -> None:
    reader = Api.connect(embedded.kubeconfig, read_only=True)

    assert reader.as_bearer("any").read_only


def test_what_is_asked_about_comes_back_as_admission_would_have_it_stored(lab: Lab) -> None:
    work = bench(lab, "namespaces", "limitranges", "pods")
    with work.place("asked") as place:
        limits = [{"type": "Container", "default": {"ephemeral-storage": "1Gi"}}]
        place.create("limitranges", objects.named("defaults", spec={"limits": limits}))

        answer = work.ask("pods", compliant(), place.name)

        assert isinstance(answer, dict)
        assert answer["spec"]["containers"][0]["resources"]["limits"]["ephemeral-storage"] == "1Gi"
        assert objects.RUN_LABEL not in answer["metadata"]["labels"]
        assert not place.api.get(place.path("pods"))["items"]


def test_what_is_not_there_is_no_refusal(lab: Lab) -> None:
    work = bench(lab, "namespaces", "pods", "configmaps:patch")
    with work.place("absent") as place, pytest.raises(Decided) as ended:
        work.dry_run_patch("configmaps", "no-such", {"data": {}}, place.name)
    assert ended.value.verdict is Verdict.NOT_ASSESSED

    with pytest.raises(Decided) as ended:
        work.dry_run("pods", compliant(), "no-such-namespace")
    assert ended.value.verdict is Verdict.NOT_ASSESSED


def test_a_changed_object_is_asked_about_and_stays_as_it_was(lab: Lab) -> None:
    work = bench(lab, "namespaces", "configmaps", "configmaps:patch")
    with work.place("changed") as place:
        place.create("configmaps", objects.named("one", data={"key": "old"}))

        admitted = work.dry_run_patch("configmaps", "one", {"data": {"key": "new"}}, place.name)
        refusal = work.dry_run_patch("configmaps", "one", {"data": {"not a key": "new"}}, place.name)

        assert admitted is None
        assert refusal is not None
        assert refusal.status == 422
        assert place.api.get(place.path("configmaps", "one"))["data"] == {"key": "old"}


def test_the_eviction_of_a_pod_that_is_gone_says_so(lab: Lab) -> None:
    work = bench(lab, "namespaces", "pods/eviction")
    with work.place("eviction") as place:
        refusal = work.dry_run_eviction("no-such", place.name)

    assert refusal is not None
    assert refusal.status == 404
