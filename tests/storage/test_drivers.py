"""A class is usable where its driver is known to run; real nodes register theirs, which simulated ones cannot."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.policy import Policy
from fixtures.readiness import Decided, Findings
from fixtures.subjects import WholeCluster
from fixtures.subjects.storage import CLASSES, VOLUMES
from reports.words import Verdict
from suites.storage import test_classes as suite
from tests.readers import Objects

Raw = dict[str, Any]
LOCAL_PATH = "rancher.io/local-path"


class Seen(Objects):
    """A reader over two classes of one provisioner, a real node, and a volume."""

    def __init__(self, provisioner: str, registered: str = "", made_by: str = "") -> None:
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        first = {
            "kind": "StorageClass",
            "metadata": {"name": "fast", "annotations": default},
            "provisioner": provisioner,
        }
        second = {**first, "metadata": {"name": "slow"}, "parameters": {"type": "hdd"}}
        volume = {"metadata": {"name": "pv", "annotations": {"pv.kubernetes.io/provisioned-by": made_by}}}
        super().__init__(
            {
                CLASSES: [first, second],
                suite.CSI_NODES: [{"metadata": {"name": "node"}, "spec": {"drivers": [{"name": registered}]}}],
                VOLUMES: [volume],
                suite.CLAIMS: [],
                "nodes": [{"metadata": {"name": "node"}}],
            }
        )


def judged(seen: Seen) -> Verdict:
    cluster = WholeCluster({"kind": "Cluster", "metadata": {"name": "cluster"}})
    check: Any = suite.test_storage_classes_are_usable
    findings = Findings(check.readiness, cluster)
    try:
        check(cluster, findings, seen, Policy())
    except Decided as decided:
        return Verdict.FAIL if findings.failures else decided.verdict
    return findings.verdict()[0]


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen("csi.example.com", registered="csi.example.com"), Verdict.PASS),
        (Seen("csi.example.com", registered="other.example.com"), Verdict.FAIL),
        (Seen("csi.example.com", made_by="csi.example.com"), Verdict.PASS),
        (Seen(LOCAL_PATH), Verdict.NOT_ASSESSED),
        (Seen(LOCAL_PATH, made_by=LOCAL_PATH), Verdict.PASS),
    ],
)
def test_the_driver_of_a_class_runs(seen: Seen, verdict: Verdict) -> None:
    assert judged(seen) is verdict
