"""The read baseline on real API servers: every row is answered, the servers count the same requests, the evidence agrees."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections import defaultdict
from pathlib import Path

import pytest

from fixtures.api import Api, Forbidden, Unauthorized
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.limits import LOAD_READ_RATE, LOAD_READ_SECONDS, Limit
from load.baseline import Baseline, measure, server_row
from tests.inventory.loopback import kubeconfig

SHORT = {LOAD_READ_RATE.name: 40.0, LOAD_READ_SECONDS.name: 10.0}


def short(limit: Limit) -> float:
    return SHORT.get(limit.name, limit.value)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle")


@pytest.fixture(scope="module")
def baseline(embedded: EmbeddedCluster, bundle: Path) -> Baseline:
    return measure(embedded.kubeconfig, None, bundle, servers=tuple(embedded.api_servers), in_force=short)


def test_every_row_of_the_mix_is_answered(baseline: Baseline) -> None:
    assert [(row.verb, row.scope, row.reading, row.sent, row.failed) for row in baseline.rows] == [
        ("GET", "resource", "cache", 120, {}),
        ("GET", "resource", "quorum", 120, {}),
        ("LIST", "cluster", "cache", 10, {}),
        ("LIST", "cluster", "quorum", 10, {}),
        ("LIST", "namespace", "cache", 50, {}),
        ("LIST", "namespace", "quorum", 50, {}),
        ("WATCH", "namespace", "cache", 40, {}),
    ]
    assert baseline.failed_share == 0.0
    assert baseline.result.whole, baseline.result.trouble


def test_the_servers_counted_what_was_sent(baseline: Baseline) -> None:
    assert baseline.server.total is not None, baseline.server.void
    for row in baseline.merged:
        own = server_row(row, baseline.server.rows)
        if not row.judged:
            assert own is None
            continue
        assert own is not None
        assert own.requests >= row.sent
    assert any(row.verb == "PUT" and row.resource.startswith("leases") for row in baseline.server.rows)


def test_the_reported_percentiles_are_those_of_the_raw_samples(baseline: Baseline, bundle: Path) -> None:
    latencies: dict[str, list[float]] = defaultdict(list)
    with gzip.open(bundle / "samples/read-baseline.csv.gz", "rt") as file:
        for line in csv.DictReader(file):
            if float(line["intended"]) >= 0 and line["code"] == "200":
                name = ", ".join((f"{line['verb']} {line['resource']}", line["scope"], line["reading"]))
                latencies[name].append(float(line["end"]) - float(line["intended"]))
    reported = json.loads((bundle / "samples/read-baseline.json").read_text())

    for row in reported["rows"]:
        name = ", ".join((f"{row['verb']} {row['resource']}", row["scope"], row["reading"]))
        ordered = sorted(latencies.pop(name))
        assert row["p95"]["interval"]["n"] == len(ordered)
        assert row["p95"]["interval"]["value"] == ordered[math.ceil(0.95 * len(ordered)) - 1]
    assert not latencies
    assert (bundle / "samples/read-baseline.svg").read_text().startswith("<svg")


def test_what_was_written_holds_no_credentials(embedded: EmbeddedCluster, baseline: Baseline, bundle: Path) -> None:
    crt, key = embedded.client_certificate
    for path in (bundle / "samples").iterdir():
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for secret in (b"PRIVATE KEY", b"CERTIFICATE", str(key).encode(), str(crt).encode()):
            assert secret not in text


def test_who_may_not_list_pods_sends_nothing(embedded: EmbeddedCluster, tmp_path: Path) -> None:
    api = Api.connect(embedded.kubeconfig)
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    api.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "load-without-rights"}})
    try:
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        token = api.create(f"{accounts}/load-without-rights/token", request)["status"]["token"]
        ca = Path(embedded.ca).read_text()
        server = embedded.api_servers[0]
        refused = kubeconfig(tmp_path / "refused", server, ca=ca, user={"token": token})
        unknown = kubeconfig(tmp_path / "unknown", server, ca=ca, user={"token": "made-up"})

        with pytest.raises(Forbidden, match="pods"):
            measure(refused, None, tmp_path / "bundle", in_force=short)
        with pytest.raises(Unauthorized):
            measure(unknown, None, tmp_path / "bundle", in_force=short)
    finally:
        api.delete(f"{accounts}/load-without-rights")

    assert not (tmp_path / "bundle").exists()
