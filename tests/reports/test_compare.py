from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reports.__main__ import main
from reports.compare import compare
from reports.errors import BundleError
from reports.record import Measure, Record
from reports.view import View
from tests.reports import sample


def view(folder: Path, records: list[Record], **facts: object) -> View:
    sample.make(folder, records, run=sample.run_info(**facts), seal=False)
    return View.load(folder)


def changed(records: list[Record], name: str, **fields: object) -> list[Record]:
    return [replace(each, **fields) if each.property == name else each for each in records]  # type: ignore[arg-type]


def test_a_new_failure_a_fix_a_loss_and_a_number(tmp_path: Path) -> None:
    good = sample.good_records()
    base = view(tmp_path / "base", good)
    measures = (Measure("95th percentile", 83.4, "ms", 100.0),)
    new = view(
        tmp_path / "new",
        changed(
            changed(sample.bad_records(), "high-availability.failover-15s", verdict="pass"),
            "load.api-latency",
            measures=measures,
        ),
    )

    found = compare(base, new)

    assert [change.property for change in found.failures] == [
        "infrastructure.certificates", "rbac.no-wildcard-roles", "storage.encryption-at-rest", "workloads.probes",
    ]  # fmt: skip
    assert [change.property for change in found.fixed] == ["high-availability.failover-15s"]
    assert [change.property for change in found.lost] == ["storage.default-class"]
    assert [str(moved) for moved in found.moved] == [
        "load.api-latency  GET pods, namespace  95th percentile: 41.7 -> 83.4 ms (+100%)"
    ]


def test_a_failing_subject_that_is_new_is_a_new_failure(tmp_path: Path) -> None:
    base = view(tmp_path / "base", sample.good_records())
    new = view(
        tmp_path / "new", [*sample.good_records(), sample.record("workloads.probes", "Deployment shop/new", "fail")]
    )

    assert [change.subject for change in compare(base, new).failures] == ["Deployment shop/new"]


def test_the_same_bundle_has_no_change(tmp_path: Path) -> None:
    base = view(tmp_path / "base", sample.bad_records())

    found = compare(base, base)

    assert (found.failures, found.fixed, found.lost, found.changed, found.moved) == ((), (), (), (), ())


def test_different_clusters_are_refused_unless_told_otherwise(tmp_path: Path) -> None:
    clusters = (replace(sample.run_info().clusters[0], id="prod-eu"),)
    base = view(tmp_path / "base", sample.good_records())
    new = view(
        tmp_path / "new", [replace(record, cluster="prod-eu") for record in sample.good_records()], clusters=clusters
    )

    with pytest.raises(BundleError, match="different clusters"):
        compare(base, new)
    assert compare(base, new, across=True).failures == ()


def test_a_namesake_with_another_fingerprint_is_another_cluster(tmp_path: Path) -> None:
    base = view(tmp_path / "base", sample.good_records())
    new = view(
        tmp_path / "new", sample.good_records(), clusters=(replace(sample.run_info().clusters[0], fingerprint="other"),)
    )

    with pytest.raises(BundleError, match="different clusters"):
        compare(base, new)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path, list[str]]:
    sample.make(tmp_path / "base", sample.good_records())
    sample.make(tmp_path / "new", sample.bad_records())
    return tmp_path / "base", tmp_path / "new", ["--key", str(sample.public_key_file(tmp_path))]


def test_compare_exits_1_on_new_failures_only(
    pair: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    base, new, key = pair

    assert main(["compare", str(base), str(new), *key]) == 1
    assert "New failures: 4" in capsys.readouterr().out
    assert main(["compare", str(new), str(base), *key]) == 0


def test_compare_refuses_a_bundle_that_was_changed(
    pair: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    base, new, key = pair
    lines = (base / "records.jsonl").read_bytes().splitlines(keepends=True)
    (base / "records.jsonl").write_bytes(b"".join(lines[1:]))

    assert main(["compare", str(base), str(new), *key]) == 1
    assert "Refused" in capsys.readouterr().err
    assert main(["compare", str(new), str(base), *key, "--unverified"]) == 0


def test_render_makes_the_same_bytes_again_and_leaves_the_bundle_alone(
    pair: tuple[Path, Path, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    _, bundle, key = pair
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}

    assert main(["render", str(bundle), *key]) == 0

    output = capsys.readouterr().out
    assert output.count("the same bytes as in the bundle") == 3
    assert "no Allure HTML: node and npm not found" in output
    assert before == {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    again = bundle.with_name("new.rendered")
    views = [
        entry["path"]
        for entry in json.loads((bundle / "manifest.json").read_text())["files"]
        if entry["role"] == "view"
    ]
    assert len(views) > 40
    for path in views:
        assert (again / path).read_bytes() == before[bundle / path]


def test_render_refuses_a_changed_bundle_and_a_folder_inside_it(
    pair: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    _, bundle, key = pair

    assert main(["render", str(bundle), *key, "--out", str(bundle / "again")]) == 2
    (bundle / "report.md").write_text("all is well")
    assert main(["render", str(bundle), *key, "--out", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
