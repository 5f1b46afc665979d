"""A right that is taken away turns what needed it into `not-assessed`, by name, and never into a pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.catalogue import load
from tests.core.suite_runs import Outcome, run_suite
from tests.inventory.conftest import Identity

Rule = dict[str, Any]
PROPERTY = "network-policy.policies-present"
READS = load()[PROPERTY].all_reads
INCOMPLETE = 6


def may_list(kinds: list[str]) -> list[Rule]:
    """Rules that allow reading these kinds, and the self reviews that every authenticated user may make."""
    return [
        {"apiGroups": [kind.partition(".")[2]], "resources": [kind.partition(".")[0]], "verbs": ["get", "list"]}
        for kind in kinds
    ]


def judge(who: Identity, folder: Path) -> Outcome:
    options = ["--cluster", "live", "--kubeconfig", str(who.kubeconfig), "--property", PROPERTY]
    return run_suite(folder, *options)


@pytest.mark.parametrize("refused", ["networkpolicies.networking.k8s.io", "pods", "namespaces"])
def test_a_refused_read_is_named_and_never_a_pass(
    refused: str, identity: Callable[..., Identity], tmp_path: Path
) -> None:
    assert refused in READS
    rules = may_list([kind for kind in READS if kind != refused])
    done = judge(identity(f"without-{refused.partition('.')[0]}", cluster=rules), tmp_path)

    assert done.code == INCOMPLETE, done.said
    records = done.records(PROPERTY)
    assert {record["verdict"] for record in records} == {"not-assessed"}
    assert all(refused in record["reason"] and "forbidden" in record["reason"] for record in records), records


def test_with_every_declared_right_the_property_is_decided(identity: Callable[..., Identity], tmp_path: Path) -> None:
    done = judge(identity("with-all", cluster=may_list(list(READS))), tmp_path)

    assert {record["verdict"] for record in done.records(PROPERTY)} <= {"pass", "fail", "not-applicable"}, done.said
