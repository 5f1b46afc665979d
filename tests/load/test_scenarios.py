"""A scenario is sent when a check asks for it: never before, and once only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fixtures.clusters import Cluster
from fixtures.plugin.run import Run
from fixtures.policy import load as load_policy
from load import baseline as measuring
from load.conftest import Scenarios
from load.mix import fullest_namespace
from load.scenario import LoadError


def a_run(tmp_path: Path) -> Run:
    cluster = Cluster(id="c", kind="live", capabilities=frozenset({"api"}), kubeconfig=tmp_path / "kubeconfig")
    return Run(cluster, load_policy(None, None), tmp_path, tmp_path, "namespace", ())


def test_nothing_is_sent_before_a_check_asks_and_then_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def measure(*arguments: Any, **_: Any) -> object:
        asked.append(arguments)
        return "measured"

    monkeypatch.setattr(measuring, "measure", measure)
    scenarios = Scenarios(a_run(tmp_path))
    assert not asked

    assert scenarios.read_baseline() is scenarios.read_baseline()
    assert asked == [(tmp_path / "kubeconfig", None, tmp_path)]


def test_a_load_that_failed_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(*_: Any, **__: Any) -> object:
        asked.append(1)
        raise LoadError("nothing was sent")

    monkeypatch.setattr(measuring, "measure", measure)
    scenarios = Scenarios(a_run(tmp_path))

    for _ in range(2):
        with pytest.raises(LoadError, match="nothing was sent"):
            scenarios.read_baseline()
    assert asked == [1]


def test_the_lists_are_of_the_namespace_with_most_pods() -> None:
    pods = [{"metadata": {"namespace": name}} for name in ("b", "a", "b", "a", "c")]

    assert fullest_namespace(pods) == "a"
    assert fullest_namespace([*pods, {"metadata": {"namespace": "c"}}, {"metadata": {"namespace": "c"}}]) == "c"
    assert fullest_namespace([]) == "default"
