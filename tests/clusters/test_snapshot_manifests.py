"""A snapshot concludes nothing from a gap, and says where a file is at fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.clusters import Cluster, ClusterError
from fixtures.clusters.snapshot import open_snapshot
from fixtures.inventory import Inventory, Unreadable
from fixtures.inventory.documents import read
from tests.inventory.conftest import held

POLICIES = "networkpolicies.networking.k8s.io"


def thing(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def dumped(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    return thing(kind, name, version, **{**more, "metadata": {"uid": f"uid-{name}", **more.get("metadata", {})}})


def write(path: Path, *documents: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(documents))
    return path


def opened(tmp_path: Path, *paths: Path) -> Inventory:
    return Inventory.open(open_snapshot(paths or (tmp_path / "in",)), None, tmp_path / "shared")


def names(inventory: Inventory, kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in inventory.objects(kind)]


def test_files_folders_lists_and_documents_are_one_set(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "b"), None, thing("Deployment", "web", "apps/v1"))
    write(tmp_path / "in" / "deep" / "er" / "b.yml", {"apiVersion": "v1", "kind": "List", "items": [thing("Pod", "a")]})
    (tmp_path / "in" / "deep" / "c.json").write_text(json.dumps(thing("Node", "n", metadata={"namespace": "wrong"})))
    other = write(tmp_path / "other.txt", thing("Pod", "a", metadata={"namespace": "a-space"}))
    inventory = opened(tmp_path, tmp_path / "in", other)
    assert [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in inventory.objects("pods")] == [
        ("a-space", "a"), ("default", "a"), ("default", "b"),
    ]  # fmt: skip
    assert names(inventory, "deployments.apps") == ["web"]
    assert "namespace" not in inventory.objects("nodes")[0]["metadata"]
    assert held(inventory, "pods", "default", "a")["kind"] == "Pod"
    assert "status" not in inventory.objects("pods")[0]
    assert inventory.requests == 0


def test_a_kind_that_was_not_dumped_is_unreadable_and_says_how_to_dump_it(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a"))
    inventory = opened(tmp_path)
    for read_one in (inventory.objects, inventory.whole, inventory.by_namespace, inventory.served, inventory.coverage):
        with pytest.raises(Unreadable, match=r"kubectl get --raw /apis/networking.k8s.io/v1/networkpolicies"):
            read_one(POLICIES)
    with pytest.raises(Unreadable):
        inventory.get(POLICIES, "default", "x")


def test_an_empty_generic_list_proves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a"), {"apiVersion": "v1", "kind": "List", "items": []})
    with pytest.raises(Unreadable):
        opened(tmp_path).objects(POLICIES)


@pytest.mark.parametrize("items", [[], None])
def test_an_empty_typed_list_proves_that_there_are_none(tmp_path: Path, items: Any) -> None:
    document = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "metadata": {}, "items": items}
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a"), document)
    inventory = opened(tmp_path)
    assert inventory.objects(POLICIES) == inventory.whole(POLICIES) == ()
    assert inventory.served(POLICIES)
    assert inventory.by_namespace(POLICIES)["anything"] == ()
    assert inventory.get(POLICIES, "default", "x") is None


def test_loose_manifests_are_judged_but_never_taken_for_all_there_is(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a"))
    inventory = opened(tmp_path)
    assert names(inventory, "pods") == ["a"]
    assert not inventory.coverage("pods").complete
    with pytest.raises(Unreadable, match="no list that says these are all"):
        inventory.whole("pods")
    with pytest.raises(Unreadable):
        inventory.get("pods", "default", "not-here")
    with pytest.raises(Unreadable):
        inventory.by_namespace("pods")["another"]


@pytest.mark.parametrize("kind", ["List", "PodList"])
def test_a_list_that_a_server_wrote_is_all_there_is(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "in" / "a.yaml", {"apiVersion": "v1", "kind": kind, "items": [dumped("Pod", "a")]})
    inventory = opened(tmp_path)
    assert inventory.whole("pods") == inventory.objects("pods")
    assert inventory.get("pods", "default", "not-here") is None
    assert inventory.by_namespace("pods")["another"] == ()


def test_a_list_by_hand_is_loose(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", {"apiVersion": "v1", "kind": "List", "items": [thing("Pod", "a")]})
    with pytest.raises(Unreadable):
        opened(tmp_path).whole("pods")


def test_items_of_a_typed_list_need_no_kind_of_their_own(tmp_path: Path) -> None:
    write(
        tmp_path / "in" / "a.yaml",
        {"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{"metadata": {"name": "a"}}]},
    )
    assert opened(tmp_path).objects("deployments.apps")[0]["apiVersion"] == "apps/v1"


def groups(*listed: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "APIGroupList", "groups": [{"name": name} for name in listed]}


def crds(*listed: str) -> dict[str, Any]:
    items = []
    for name in listed:
        plural, _, group = name.partition(".")
        spec = {"group": group, "scope": "Cluster", "names": {"kind": plural.title(), "plural": plural}}
        items.append({"metadata": {"name": name}, "spec": spec})
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinitionList", "items": items}


def services(*listed: str) -> dict[str, Any]:
    items = [{"metadata": {"name": f"v1.{group}"}, "spec": {"group": group}} for group in listed]
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIServiceList", "items": items}


@pytest.mark.parametrize(
    ("proof", "absent", "open_question"),
    [
        (groups("apps"), ["rollouts.argoproj.io", "pods.metrics.k8s.io"], ["deployments.apps", "services"]),
        (
            crds("bgppeers.metallb.io"),
            ["rollouts.argoproj.io"],
            ["bgppeers.metallb.io", "pods.metrics.k8s.io", POLICIES],
        ),
        (services("metallb.io"), ["rollouts.argoproj.io", "pods.metrics.k8s.io"], ["bgppeers.metallb.io", POLICIES]),
    ],
    ids=["API groups", "CRDs", "APIServices"],
)
def test_only_a_proof_makes_a_kind_absent(
    tmp_path: Path, proof: dict[str, Any], absent: list[str], open_question: list[str]
) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a"), proof)
    inventory = opened(tmp_path)
    for kind in absent:
        assert not inventory.served(kind)
        assert inventory.objects(kind) == ()
    for kind in open_question:
        with pytest.raises(Unreadable):
            inventory.objects(kind)


def test_a_custom_kind_is_named_and_scoped_by_its_definition_or_guessed(tmp_path: Path) -> None:
    definitions = crds("mice.example.com")
    definitions["items"][0]["spec"]["names"]["kind"] = "Mouse"
    write(
        tmp_path / "in" / "a.yaml",
        definitions,
        thing("Mouse", "jerry", "example.com/v1", metadata={"namespace": "x"}),
        thing("Policy", "p", "other.example/v1", metadata={"namespace": "x"}),
    )
    inventory = opened(tmp_path)
    assert inventory.objects("mice.example.com")[0]["metadata"] == {"name": "jerry"}
    assert names(inventory, "policies.other.example") == ["p"]


@pytest.mark.parametrize(("version", "kind", "name"), [
    ("apps/v1beta1", "Deployment", "deployments.apps"),
    ("extensions/v1beta1", "Deployment", "deployments.apps"),
    ("extensions/v1beta1", "Ingress", "ingresses.networking.k8s.io"),
])  # fmt: skip
def test_an_old_version_makes_its_kind_unreadable_by_name(tmp_path: Path, version: str, kind: str, name: str) -> None:
    good = {"Deployment": "apps/v1", "Ingress": "networking.k8s.io/v1"}[kind]
    write(tmp_path / "in" / "a.yaml", thing(kind, "good", good), thing(kind, "old", version))
    with pytest.raises(Unreadable, match=rf"a\.yaml:\d+ is in {version}, the checks understand {good}"):
        opened(tmp_path).objects(name)


def test_what_is_no_object_is_passed_over_in_a_folder_and_noted(tmp_path: Path) -> None:
    write(tmp_path / "in" / "values.yaml", {"replicas": 3}, ["a"], "text")
    write(
        tmp_path / "in" / "kustomization.yaml",
        {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"},
    )
    write(tmp_path / "in" / "pod.yaml", thing("Pod", "a"))
    (tmp_path / "in" / "README.md").write_text("{{ not read }}")
    write(tmp_path / "in" / ".git" / "x.yaml", thing("Pod", "hidden"))
    inventory = opened(tmp_path)
    assert names(inventory, "pods") == ["a"]
    assert len(inventory.notes()) == 4
    assert any("values.yaml:1: not a Kubernetes object" in note for note in inventory.notes())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [\n", r"x\.yaml:3: not YAML"),
        ("kind: Pod\nmetadata:\n  name: a\n  name: b\n", r"x\.yaml:4: not YAML \(the key 'name' stands there twice\)"),
        ("# chart\na: {{ .Values.x }}\n", r"x\.yaml:2: .*helm template"),
        ("a: !!python/object:os.system {}\n", r"x\.yaml:1: not YAML"),
        ("a: !!binary aGk=\n", r"x\.yaml:1: not YAML \(the tag tag:yaml.org,2002:binary\)"),
        ("a: 1\nb: .inf\n", r"x\.yaml:2: .*no number of JSON"),
        ("a: *b\n", r"x\.yaml:1: not YAML \(.*b"),
        ("a:\n  <<: 7\n", r"x\.yaml:2: .*<<"),
        ("? [a]\n: b\n", r"x\.yaml:1: .*a key that is not text"),
        ("a: &a [*a]\n", r"x\.yaml:1: its aliases expand"),
        ("a: \x00\n", r"x\.yaml: not YAML"),
        ("[" * 5000, r"x\.yaml"),
        ("apiVersion: v1\nkind: Pod\nmetadata: [a]\n", r"x\.yaml:1: the metadata of Pod"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {labels: {}}\n", r"x\.yaml:1: Pod has no metadata\.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 7}\n", r"x\.yaml:1: Pod has no metadata\.name"),
        ("apiVersion: v1\nkind: List\nitems: [1]\n", r"x\.yaml:1: a List holds something"),
        ("apiVersion: v1\nkind: PodList\nitems: {}\n", r"x\.yaml:1: the items of a PodList"),
        ("just text", r"x\.yaml:1: not a Kubernetes object"),
        ("", r"x\.yaml: holds no Kubernetes object"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ClusterError, match=words) as error:
        open_snapshot((path,))
    assert "\n" not in str(error.value)


def test_bad_json_and_bad_bytes_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"kind": "Pod",\n nope}')
    with pytest.raises(ClusterError, match=r"x\.json:2: not JSON"):
        open_snapshot((tmp_path / "x.json",))
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ClusterError, match=r"x\.json: not UTF-8"):
        open_snapshot((tmp_path / "x.json",))


def test_aliases_that_blow_up_are_stopped(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    with pytest.raises(ClusterError, match=r"x\.yaml:1: its aliases expand"):
        open_snapshot((tmp_path / "x.yaml",))


def test_one_object_twice_names_both_places_unless_they_are_equal(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a", spec={"x": 1}))
    second = write(tmp_path / "in" / "b.yaml", thing("Pod", "a", spec={"x": 1}, metadata={"namespace": "default"}))
    assert names(opened(tmp_path), "pods") == ["a"]
    write(second, thing("Pod", "other"), thing("Pod", "a", spec={"x": 2}))
    with pytest.raises(ClusterError, match=r"Pod default/a is in .*a\.yaml:1 and, differently, in .*b\.yaml:6"):
        open_snapshot((tmp_path / "in",))


@pytest.mark.parametrize(
    ("paths", "words"),
    [((), "needs --manifests"), ((Path("/no/such"),), "/no/such: no such file"), ((Path("-"),), "standard input")],
)
def test_a_path_that_cannot_be_read_says_what_to_do(paths: tuple[Path, ...], words: str) -> None:
    with pytest.raises(ClusterError, match=words):
        open_snapshot(paths)


def test_a_folder_without_objects_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no Kubernetes object"):
        open_snapshot((tmp_path,))


def test_versions_and_fingerprints(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a"))
    with pytest.raises(Unreadable, match="kubectl version -o json"):
        opened(tmp_path).server_version()
    first = opened(tmp_path).fingerprint()
    write(tmp_path / "in" / "a.yaml", thing("Pod", "a", spec={"x": 1}))
    write(tmp_path / "in" / "version.yaml", {"clientVersion": {}, "serverVersion": {"gitVersion": "v1.30.0"}})
    second = Inventory.open(open_snapshot((tmp_path / "in",)), None, tmp_path / "shared-2")
    assert second.server_version() == {"gitVersion": "v1.30.0"}
    assert second.fingerprint() != first


def test_the_files_are_read_once_in_a_run(tmp_path: Path) -> None:
    file = write(tmp_path / "in" / "a.yaml", thing("Pod", "a"))
    cluster = open_snapshot((tmp_path / "in",), tmp_path / "shared")
    file.unlink()
    assert names(Inventory.open(cluster, None, tmp_path / "shared"), "pods") == ["a"]


def test_a_snapshot_as_a_cluster(tmp_path: Path) -> None:
    write(tmp_path / "My Dump" / "a.yaml", thing("Pod", "a"))
    cluster = open_snapshot((tmp_path / "My Dump",))
    assert cluster.id.startswith("snapshot-my-dump-")
    assert (cluster.kind, cluster.capabilities) == ("snapshot", frozenset({"objects"}))
    assert Cluster.from_json(json.loads(json.dumps(cluster.to_json()))) == cluster


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"), ("12:30:45", "12:30:45"), ("0644", 420), ("0o644", 420), ("0x1F", 31), ("-7", -7),
        ("1e3", 1000.0), ("1.5", 1.5), ("yes", True), ("~", None), ("=", "="), ("1.2.3", "1.2.3"), ("08", 8.0), ("100m", "100m"),
    ],
)  # fmt: skip
def test_scalars_are_read_as_kubernetes_reads_them(tmp_path: Path, text: str, value: Any) -> None:
    (tmp_path / "x.yaml").write_text(f"a: {text}\n")
    [(_, document)] = read(tmp_path / "x.yaml")
    assert document == {"a": value}
    assert type(document["a"]) is type(value)


def refusal(path: Path) -> str | None:
    """What `open_snapshot` says against it; any exception but ClusterError fails the test."""
    try:
        open_snapshot((path,))
    except ClusterError as error:
        return str(error)
    return None


def test_anchors_merges_and_tags_are_read_as_kubernetes_reads_them(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "one: &one {a: 1, b: 2}\n&k key: 1\nof-key: *k\ntwo: &two {b: 3, c: 4}\n"
        "merged: {<<: [*one, *two], c: 5}\nalias: *one\ntext: !!str 7\nnumber: !!int '7'\nquoted: '7'\nblock: |\n  7\non: off\n1: x\n"
    )
    [(place, document)] = read(tmp_path / "x.yaml")
    assert place.line == 1
    assert document["merged"] == {"a": 1, "b": 2, "c": 5}
    assert document["alias"] == {"a": 1, "b": 2}
    assert (document["text"], document["number"], document["quoted"], document["block"]) == ("7", 7, "7", "7\n")
    assert document["true"] is False
    assert document["1"] == "x"
    assert document["of-key"] == "key"


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)  # no verdict may hang on how busy the machine is
@given(value=st.dictionaries(st.text(min_size=1, max_size=8), JSON_VALUES, min_size=1, max_size=5))
def test_json_means_the_same_in_a_yaml_file(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("hypothesis") / "x.json"
    path.write_text(json.dumps(value))
    assert [document for _, document in read(path)] == [value]


@settings(deadline=None)  # no verdict may hang on how busy the machine is
@given(value=st.dictionaries(st.text(min_size=1, max_size=8), JSON_VALUES, min_size=1, max_size=5))
def test_what_was_dumped_as_yaml_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("hypothesis") / "x.yaml"
    path.write_text(yaml.safe_dump(value, default_style='"'), newline="")
    assert [document for _, document in read(path)] == [value]


@settings(deadline=None)  # no verdict may hang on how busy the machine is
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_read_or_refused_with_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("hypothesis")
    path = folder / "x.yaml"
    path.write_text(text, newline="")
    refused = refusal(path)
    assert refused is None or (refused.startswith(str(path)) and "\n" not in refused)


@settings(deadline=None)  # no verdict may hang on how busy the machine is
@given(
    documents=st.lists(
        st.fixed_dictionaries(
            {
                "apiVersion": st.sampled_from(["v1", "apps/v1", "x/y/z", "", 1]),
                "kind": st.sampled_from(["Pod", "List", "PodList", "Secret", "x", ""]),
            },
            optional={"metadata": JSON_VALUES, "items": JSON_VALUES, "data": JSON_VALUES, "spec": JSON_VALUES},
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_odd_object_is_read_or_refused_with_one_line(
    tmp_path_factory: pytest.TempPathFactory, documents: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("hypothesis")
    (folder / "x.yaml").write_text("\n---\n".join(json.dumps(document) for document in documents))
    refused = refusal(folder)
    if refused is None:
        Inventory.open(open_snapshot((folder,)), None, folder / "shared").fingerprint()
    else:
        assert "\n" not in refused
