"""The reference platform on an embedded cluster: the good one holds, its broken twin fails in every area."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures import platform, policy
from fixtures.api import Api
from fixtures.catalogue import load
from fixtures.clusters.embedded.handle import EmbeddedCluster, start
from fixtures.clusters.embedded.target import as_target
from fixtures.plugin.groups import groups
from fixtures.plugin.judge import given, judge
from fixtures.plugin.run import Run
from reports.record import Record
from reports.words import Verdict

STATIC = {check.id: check for check in load().values() if check.module.startswith("suites.") and not check.consent}
"""What is read off the objects; what is tried out is judged by `make ready`, in the lab of a run."""
ACCEPTED = {Verdict.PASS, Verdict.WAIVED, Verdict.NOT_APPLICABLE, Verdict.NOT_ASSESSED}


def judged(cluster: EmbeddedCluster, which: str, folder: Path) -> list[Record]:
    """The records of every static check on a cluster with the platform."""
    said: list[str] = []
    platform.load(Api.connect(cluster.kubeconfig), which, said.append)
    assert f"reference platform {which}" in said[-1]
    cluster.await_joined()
    run = Run(as_target(cluster), policy.load(platform.POLICY, None), folder, folder, "cluster", ())
    records = []
    for check in STATIC.values():
        function = getattr(__import__(check.module, fromlist=["_"]), check.function)
        for group in groups(run, check):
            records += judge(run, check, group, function, given(run, check, function))
    return records


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    """A cluster of the test's own: the platform would be in the way of other tests."""
    found = start()
    try:
        yield found
    finally:
        found.stop()


def test_the_good_platform_holds(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    records = judged(cluster, "good", tmp_path)

    spoilt = [
        f"{one.property} {one.subject}: {one.verdict} {one.findings}" for one in records if one.verdict not in ACCEPTED
    ]
    assert not spoilt
    assert {one.verdict for one in records} == ACCEPTED
    required = {name for pattern in policy.load(platform.POLICY, None).required for name in STATIC if name == pattern}
    spared = set(policy.load(platform.POLICY, None).policy.not_required)
    unknown = {one.property for one in records if one.verdict is Verdict.NOT_ASSESSED}
    assert not unknown & required - spared


def test_the_broken_twin_fails_in_every_area(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    failing: dict[str, set[str]] = defaultdict(set)
    for record in judged(cluster, "broken", tmp_path):
        assert record.verdict is not Verdict.ERROR, f"{record.property} {record.subject}: {record.reason}"
        if record.verdict is Verdict.FAIL:
            failing[record.area].add(record.property)

    assert set(failing) == {check.area for check in STATIC.values()}
    assert sum(map(len, failing.values())) > 50
