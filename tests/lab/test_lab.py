"""What a lab makes is gone afterwards, whatever happened in between, and what it may not make it does not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.api import Api, NotFound
from fixtures.catalogue import load
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.lab import Lab, Missed, Workbench, leftovers, objects
from fixtures.lab.waiting import await_gone, await_object
from fixtures.readiness import Decided
from fixtures.undo import Journal
from reports.words import Verdict

ROOT = Path(__file__).parents[2]
CHECK = load()["pod-security.standards-in-every-namespace"]
IMAGE = "registry.invalid/probe:1"


@pytest.fixture
def api(embedded: EmbeddedCluster) -> Api:
    return Api.connect(embedded.kubeconfig)


@pytest.fixture
def lab(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Lab(api, tmp_path / "bundle", image=IMAGE, say=lambda line: None)
    yield made
    assert made.close()


def bench(lab: Lab, *uses: str) -> Workbench:
    return lab.bench(replace(CHECK, uses=uses))


def namespaces(api: Api, lab: Lab) -> list[str]:
    found = api.get("/api/v1/namespaces", {"labelSelector": f"{objects.RUN_LABEL}={lab.id}"})["items"]
    return [one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]]


def test_a_place_is_gone_when_its_block_is_left_by_an_error(api: Api, lab: Lab) -> None:
    def works() -> None:
        with bench(lab, "namespaces", "configmaps").place("failing") as place:
            place.create("configmaps", objects.named("one", data={}))
            assert namespaces(api, lab) == [place.name]
            raise RuntimeError("the check crashed")

    with pytest.raises(RuntimeError):
        works()
    assert lab.close()
    assert namespaces(api, lab) == []
    assert not Journal.pending(leftovers.home(api))


def test_the_promise_is_on_disk_before_the_namespace_exists(
    api: Api, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    create = api.create

    def watched(path: str, body: Any, *more: Any, **named: Any) -> Any:
        if path == "/api/v1/namespaces":
            seen.append(sum(promise.undo == "remove" for promise in lab.journal.promises()))
        return create(path, body, *more, **named)

    monkeypatch.setattr(api, "create", watched)
    with bench(lab, "namespaces").place():
        pass

    assert seen == [1]


def test_a_resource_that_was_not_declared_is_refused_and_nothing_is_sent(api: Api, lab: Lab) -> None:
    requests = api.requests

    with pytest.raises(LookupError, match="uses namespaces without declaring it"):
        bench(lab, "pods").place().__enter__()

    assert api.requests == requests


def test_a_dry_run_stores_nothing_and_tells_refusal_from_admission(api: Api, lab: Lab) -> None:
    work = bench(lab, "namespaces", "pods")
    with work.place("dry", standard="restricted") as place:
        good = objects.pod("asked", objects.pod_spec(IMAGE))
        bad = objects.pod("asked", objects.pod_spec(IMAGE, hostNetwork=True))

        assert work.dry_run("pods", good, place.name) is None
        refusal = work.dry_run("pods", bad, place.name)

        assert refusal is not None
        assert "violates PodSecurity" in refusal.message
        assert api.get(place.path("pods"))["items"] == []


def test_what_a_run_can_make_in_its_namespace_is_limited(lab: Lab) -> None:
    with bench(lab, "namespaces", "services").place() as place:
        refusal = place.attempt("services", objects.service("outside", type="LoadBalancer"))

    assert refusal is not None
    assert "exceeded quota: kubeworthy" in refusal.message


def test_a_pod_that_cannot_start_ends_the_check_with_an_error(lab: Lab) -> None:
    with bench(lab, "namespaces", "pods").place() as place:
        place.create("pods", objects.pod("pinned", place.spec(node="no-such-node")))
        with pytest.raises(Decided) as ended:
            place.ready("pinned", seconds=2)

    assert ended.value.verdict is Verdict.ERROR
    assert "readiness of pinned did not come about within 2 s: pinned (Pending Unschedulable" in str(ended.value)


def test_a_node_that_the_run_cordoned_is_open_again_and_another_s_cordon_stays(api: Api, lab: Lab) -> None:
    node = "/api/v1/nodes/node-5"
    work = bench(lab, "nodes")
    with work.cordoned("node-5"):
        assert api.get(node)["spec"]["unschedulable"]
    assert not api.get(node)["spec"].get("unschedulable")

    api.patch(node, {"spec": {"unschedulable": True}})
    try:
        with work.cordoned("node-5"):
            pass
        assert api.get(node)["spec"]["unschedulable"]
    finally:
        api.patch(node, {"spec": {"unschedulable": None}})


def test_a_cluster_scoped_thing_is_gone_afterwards(api: Api, lab: Lab) -> None:
    body = {"metadata": {"name": "low"}, "value": -1, "description": "a test"}
    with bench(lab, "priorityclasses").thing("priorityclasses", body) as made:
        path = objects.collection("priorityclasses") + "/" + made["metadata"]["name"]
        assert api.get(path)["value"] == -1

    with pytest.raises(NotFound):
        api.get(path)


def test_one_given_namespace_is_left_as_it_was(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    api.create("/api/v1/namespaces", {"metadata": {"name": "given"}})
    lab = Lab(api, tmp_path, image=IMAGE, namespace="given", say=lambda line: None)
    work = bench(lab, "configmaps")
    with work.place() as place:
        assert place.name == "given"
        place.create("configmaps", objects.named("mine", data={}))
    with pytest.raises(Decided) as ended:
        work.place(own=True).__enter__()
    assert lab.close()

    names = [one["metadata"]["name"] for one in api.get("/api/v1/namespaces/given/configmaps")["items"]]
    assert "mine" not in names
    assert ended.value.verdict is Verdict.NOT_ASSESSED
    api.delete("/api/v1/namespaces/given")


def test_waiting_sees_what_was_there_what_comes_and_what_does_not(api: Api, lab: Lab) -> None:
    with bench(lab, "namespaces", "configmaps").place() as place:
        place.create("configmaps", objects.named("here", data={}))
        path = place.path("configmaps", "here")

        assert await_object(api, path, lambda found: found and found["metadata"]["name"], 5, "it") == "here"
        with pytest.raises(Missed, match=r"the colour did not come about within 0\.5 s: here"):
            await_object(api, path, lambda found: (found or {}).get("colour"), 0.5, "the colour")
        place.delete("configmaps", "here", wait=10)
        await_gone(api, path, 0.5)


RUNNER = """
import sys, time
from pathlib import Path
from dataclasses import replace
from fixtures.api import Api
from fixtures.catalogue import load
from fixtures.lab import Lab, objects
lab = Lab(Api.connect(Path(sys.argv[1])), Path(sys.argv[2]), image="registry.invalid/probe:1", say=print)
check = replace(load()["pod-security.standards-in-every-namespace"], uses=("namespaces", "pods", "nodes", "priorityclasses"))
work = lab.bench(check)
with work.place("killed") as place, work.cordoned("node-4"), work.thing("priorityclasses", {"metadata": {"name": "x"}, "value": 1}):
    place.create("pods", objects.pod("one", place.spec()))
    print("ready", flush=True)
    time.sleep(120)
"""


def test_what_a_killed_run_left_is_found_told_and_removed(
    api: Api, embedded: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(embedded.kubeconfig), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdout is not None
    try:
        assert runner.stdout.readline() == "ready\n"
        under_way: list[str] = []
        assert not leftovers.sweep(api, under_way.append)
        assert "is under way in process" in under_way[0]
    finally:
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        runner.stdout.close()
    told = "\n".join(leftovers.foreign(api))
    assert "python -m chaos cleanup" in told

    cleaned = subprocess.run(
        [sys.executable, "-m", "chaos", "cleanup", "--kubeconfig", str(embedded.kubeconfig)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert cleaned.returncode == 0, cleaned.stdout + cleaned.stderr
    assert "was killed; undoing it" in cleaned.stdout
    assert not list(leftovers.foreign(api))
    assert not api.get("/api/v1/nodes/node-4")["spec"].get("unschedulable")
    classes = [one["metadata"]["name"] for one in api.get("/apis/scheduling.k8s.io/v1/priorityclasses")["items"]]
    assert not [name for name in classes if name.startswith("kubeworthy-")]
