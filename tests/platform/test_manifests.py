"""The manifests of the reference platform: each object once, and each change of the broken twin changes something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.platform import manifests
from fixtures.platform.manifests import key, merged, read


def test_every_object_stands_once() -> None:
    names = [
        key(raw)
        for path in sorted((manifests.HERE / "good").glob("*.yaml"))
        for raw in yaml.safe_load_all(path.read_bytes())
    ]

    assert len(names) == len(set(names)) == len(read("good"))


def test_every_change_of_the_broken_twin_changes_something() -> None:
    good = {key(raw): raw for raw in read("good")}
    broken = {key(raw): raw for raw in read("broken")}
    changes = [
        raw for path in (manifests.HERE / "broken").glob("*.yaml") for raw in yaml.safe_load_all(path.read_bytes())
    ]

    idle = [key(raw) for raw in changes if good.get(key(raw)) == broken.get(key(raw))]

    assert len(changes) > 20
    assert not idle


def test_workloads_live_in_namespaces_of_the_platform() -> None:
    objects = read("good")
    namespaces = {raw["metadata"]["name"] for raw in objects if raw["kind"] == "Namespace"} | {"kube-system"}

    assert {raw["metadata"].get("namespace", "kube-system") for raw in objects} <= namespaces


@pytest.mark.parametrize(
    ("base", "change", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": 1, "b": 2}, {"b": None}, {"a": 1}),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [3]}}, {"a": {"b": [3]}}),
        (
            [{"name": "x", "a": 1}, {"name": "y"}],
            [{"name": "x", "b": 2}, {"name": "z"}],
            [{"name": "x", "a": 1, "b": 2}, {"name": "y"}, {"name": "z"}],
        ),
        ([{"name": "x"}], [], []),
    ],
)
def test_a_change_is_merged(base: Any, change: Any, result: Any) -> None:
    assert merged(base, change) == result


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(ValueError, match="good and broken"):
        read("nice")


def test_a_change_that_takes_away_what_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.yaml").write_text("{kind: Pod, metadata: {name: gone}, absent: true}")
    monkeypatch.setattr(manifests, "HERE", tmp_path)

    with pytest.raises(ValueError, match="Pod  gone, which is not in good"):
        read("broken")
