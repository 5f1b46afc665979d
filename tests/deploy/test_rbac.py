"""Each level of deploy/rbac suffices for what it is for, and grants not one verb more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.api import Api
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.inventory.kinds import BY_KIND
from tests.core.suite_runs import ROOT, run_suite

ACCOUNT = "system:serviceaccount:kubeworthy-probes:kubeworthy"
Grant = tuple[str, str, str]
"""API group, resource and verb."""


def documents(level: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "rbac" / f"{level}.yaml").read_text()))


def granted(level: str) -> set[Grant]:
    rules = [rule for one in documents(level) for rule in one.get("rules", ())]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def path_of(raw: dict[str, Any]) -> str:
    group, _, version = raw["apiVersion"].rpartition("/")
    kind = BY_KIND[group, raw["kind"]]
    return kind.path(version, raw["metadata"].get("namespace", "") if kind.namespaced else "")


@pytest.fixture(scope="module")
def apply(embedded: EmbeddedCluster) -> Iterator[Callable[[str], Path]]:
    """Apply levels and get a kubeconfig of the ServiceAccount; what was applied is removed at the end."""
    api = Api.connect(embedded.kubeconfig)
    applied: list[str] = []

    def to(*levels: str) -> None:
        for raw in (raw for level in levels for raw in documents(level)):
            api.create(path_of(raw), raw)
            applied.append(f"{path_of(raw)}/{raw['metadata']['name']}")

    def kubeconfig(*levels: str) -> Path:
        to(*levels)
        made = api.create(
            "/api/v1/namespaces/kubeworthy-probes/serviceaccounts/kubeworthy/token",
            {"spec": {"expirationSeconds": 3600}},
        )
        plain = json.loads(embedded.kubeconfig.read_text())
        plain["users"][0]["user"] = {"token": made["status"]["token"]}
        path = embedded.state / f"kubeconfig-{'-'.join(levels)}"
        path.write_text(json.dumps(plain))
        return path

    yield kubeconfig
    for path in reversed(applied):
        api.delete(path)


def used(embedded: EmbeddedCluster) -> set[Grant]:
    """What the ServiceAccount asked of the API servers and was not refused, from their audit logs."""
    found: set[Grant] = set()
    for log in (embedded.state / "logs").glob("audit-*.log"):
        for line in log.read_text().splitlines():
            event = json.loads(line)
            about = event.get("objectRef")
            if event["user"]["username"] == ACCOUNT and about and event["responseStatus"]["code"] != 403:
                resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
                found.add((about.get("apiGroup", ""), resource, event["verb"]))
    return {one for one in found if not one[1].startswith("selfsubject")}


def test_read_only_suffices_and_grants_nothing_that_is_not_used(
    embedded: EmbeddedCluster, apply: Callable[..., Path], tmp_path: Path
) -> None:
    kubeconfig = apply("read-only")
    served = {
        (group["name"], resource["name"])
        for api in [Api.connect(embedded.kubeconfig)]
        for group in [{"name": ""}, *api.get("/apis")["groups"]]
        for resource in api.get(f"/apis/{group['preferredVersion']['groupVersion']}" if group["name"] else "/api/v1")[
            "resources"
        ]
    }

    done = run_suite(tmp_path, "--cluster", "live", "--kubeconfig", str(kubeconfig))

    records = [json.loads(line) for line in (done.bundle / "records.jsonl").read_text().splitlines()]
    refused = [one for one in records if re.search("forbidden|cannot read", one.get("reason", ""))]
    assert records
    assert not refused, refused[:3]
    asked = used(embedded)
    assert asked <= granted("read-only")
    idle = {grant for grant in granted("read-only") - asked if grant[:2] in served}
    assert not idle, f"granted and never used: {sorted(idle)}"
