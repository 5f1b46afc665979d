"""Every exporter against its golden file. `KUBEWORTHY_GOLDEN=write pytest tests/reports` writes them anew; read the diff."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from reports import allure_results, junit, markdown, page
from reports.allure_results import CATEGORIES, STATUSES
from reports.record import Finding, Record
from reports.timeline import Timeline, draw
from reports.view import View
from reports.words import Verdict
from tests.reports import sample

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    sample.make(folder / "bundle", sample.bad_records(), docs=sample.pages(folder / "site"), seal=False)
    return folder / "bundle"


@pytest.fixture(scope="module")
def view(bundle: Path) -> View:
    return View.load(bundle)


def allure_text(bundle: Path) -> str:
    """All of Allure's files in one text, the results by name."""
    folder = bundle / "allure-results"
    results = [json.loads(path.read_text()) for path in folder.glob("*-result.json")]
    results.sort(key=lambda result: str(result["fullName"]))
    others = {
        name: (folder / name).read_text() for name in ("categories.json", "environment.properties", "executor.json")
    }
    return json.dumps({"results": results, **others}, indent=1, ensure_ascii=False) + "\n"


MADE: dict[str, Callable[[Path], str]] = {
    "junit.xml": lambda bundle: (bundle / "junit.xml").read_text(),
    "report.md": lambda bundle: (bundle / "report.md").read_text(),
    "verdict.json": lambda bundle: (bundle / "verdict.json").read_text(),
    "run.json": lambda bundle: (bundle / "run.json").read_text(),
    "page.html": lambda bundle: re.sub("(?s)<style>.*?</style>", "", (bundle / "report" / "index.html").read_text()),
    "allure.json": allure_text,
    "timeline.svg": lambda bundle: draw(Timeline.from_json(sample.TIMELINE), alone=True) + "\n",
}


@pytest.mark.parametrize("name", MADE)
def test_exporter_writes_what_the_golden_file_holds(bundle: Path, name: str) -> None:
    made, golden = MADE[name](bundle), GOLDEN / name
    if os.environ.get("KUBEWORTHY_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made)

    assert made == golden.read_text()


def test_the_sample_has_all_eight_verdicts(view: View) -> None:
    assert {record.verdict for record in view.records} == set(Verdict)


# JUnit ------------------------------------------------------------------------------------------------------------------

XUNIT2 = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "time", "classname", "group"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "skipped": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "failure": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}
"""What the xunit2 schema allows: the attributes and the children of each element."""


def test_junit_holds_only_what_xunit2_allows(view: View) -> None:
    for element in ET.fromstring(junit.render(view)).iter():
        attributes, children = XUNIT2[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children


def test_junit_counts_are_those_of_its_cases(view: View) -> None:
    for suite in ET.fromstring(junit.render(view)).iter("testsuite"):
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == sum(case.find(tag) is not None for case in cases)


def test_junit_has_a_case_for_a_required_property_without_a_record(view: View) -> None:
    records = [record for record in view.records if record.area != "rbac"]
    root = ET.fromstring(junit.render(decided(view, records)))

    case = next(case for case in root.iter("testcase") if case.attrib["classname"] == "rbac.no-wildcard-roles")
    skipped = case.find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "not-assessed: nothing was executed"


def test_junit_survives_what_xml_cannot_hold(view: View) -> None:
    odd = sample.record("rbac.no-wildcard-roles", "a\x00b\ufffe", "fail", reason="\x1b[31m]]> & <b>")

    root = ET.fromstring(junit.render(decided(view, [odd])))

    assert "\x1b" not in ET.tostring(root, encoding="unicode")


def decided(view: View, records: list[Record]) -> View:
    """The view with other records, decided anew."""
    from reports.gate import decide

    decision = decide(view.properties, records, complete=True, clusters=view.run.cluster_ids)
    return replace(view, records=records, decision=decision)


# Markdown ---------------------------------------------------------------------------------------------------------------


def test_markdown_fits_a_comment_whatever_fails(view: View) -> None:
    records = [
        sample.record(
            name,
            f"Deployment ns-{place}/{'x' * 50}",
            "fail",
            reason="y" * 500,
            findings=(Finding("z" * 300, "e" * 300, "o" * 300, "l", "f" * 500),),
        )
        for name in view.properties
        for place in range(200)
    ]

    assert len(markdown.render(decided(view, records))) < 65_536


def test_markdown_shows_texts_as_they_are(view: View) -> None:
    odd = sample.record(
        "rbac.no-wildcard-roles",
        "cluster",
        "fail",
        reason="<script>alert(1)</script> | *x* @everybody `y` [z](http://a)",
    )

    text = markdown.render(decided(view, [odd]))

    assert "<script>" not in text
    assert "@everybody" not in text
    assert r"\| \*x\*" in text
    assert "[z](" not in text


# Allure -----------------------------------------------------------------------------------------------------------------


def results(bundle: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((bundle / "allure-results").glob("*-result.json"))]


def test_each_result_falls_into_the_category_of_its_verdict(bundle: Path, view: View) -> None:
    verdicts = Counter(group.verdict for group in view.groups)
    found: Counter[str] = Counter()
    for result in results(bundle):
        message = str(result["statusDetails"]["message"])
        matching = [
            category["name"]
            for category in allure_results.categories()
            if result["status"] in category["matchedStatuses"] and re.fullmatch(category["messageRegex"], message)
        ]
        assert len(matching) == 1
        found[matching[0]] += 1

    assert found == Counter({CATEGORIES[verdict]: count for verdict, count in verdicts.items()})
    assert set(found) == set(CATEGORIES.values())


def test_two_clusters_never_overwrite_each_other(tmp_path: Path, view: View) -> None:
    records = [replace(record, cluster=cluster) for cluster in ("a", "b") for record in sample.good_records()]

    count = allure_results.write(decided(view, records), tmp_path)

    files = [json.loads(path.read_text()) for path in tmp_path.glob("*-result.json")]
    assert len(files) == count == 2 * len({(record.property, record.namespace) for record in sample.good_records()})
    for key in ("uuid", "historyId", "testCaseId", "fullName"):
        assert len({file[key] for file in files}) == count


def test_the_history_does_not_depend_on_the_verdict(tmp_path: Path, view: View) -> None:
    ids = []
    for verdict in ("pass", "fail"):
        allure_results.write(
            decided(view, [sample.record("rbac.no-wildcard-roles", "cluster", verdict)]), tmp_path / verdict
        )
        (file,) = (tmp_path / verdict).glob("*-result.json")
        result = json.loads(file.read_text())
        kept = [parameter for parameter in result["parameters"] if not parameter.get("excluded")]
        ids.append((result["historyId"], result["testCaseId"], kept))

    assert ids[0] == ids[1]


def test_attachments_are_there_and_typed(bundle: Path) -> None:
    attached = [each for result in results(bundle) for each in result.get("attachments", [])]

    assert {each["type"] for each in attached} == {"application/json", "image/svg+xml", "text/markdown"}
    assert any(each["name"].startswith("Timeline: ") for each in attached)
    for each in attached:
        assert (bundle / "allure-results" / each["source"]).stat().st_size


def test_the_page_of_the_property_is_attached_or_linked_where_it_has_an_address(
    tmp_path: Path, bundle: Path, view: View
) -> None:
    online = replace(view, run=replace(view.run, docs_url="https://docs.example/kubeworthy/"))
    allure_results.write(online, tmp_path / "allure-results")

    for offline, linked in zip(results(bundle), results(tmp_path), strict=True):
        name = offline["labels"][1]["value"]
        assert [each["type"] for each in offline["attachments"] if each["name"] == f"What {name} means"] == [
            "text/markdown"
        ]
        assert "links" not in offline
        assert (
            linked["links"][0]["url"] == f"https://docs.example/kubeworthy/docs/properties/{name.replace('.', '/')}.md"
        )


def test_no_record_can_attach_a_file_from_outside(tmp_path: Path, view: View) -> None:
    secret = view.folder.parent / "secret.json"
    secret.write_text('"hidden"')
    record = sample.record("rbac.no-wildcard-roles", "cluster", evidence=("../secret.json",))

    allure_results.write(decided(view, [record]), tmp_path)

    assert not any("hidden" in path.read_text() for path in tmp_path.iterdir())


def test_every_verdict_has_a_status_and_none_but_what_holds_is_passed() -> None:
    assert set(STATUSES) == set(Verdict)
    assert {verdict for verdict in Verdict if STATUSES[verdict] == "passed"} == {Verdict.PASS, Verdict.ATTESTED}


# The page ---------------------------------------------------------------------------------------------------------------


def test_the_page_escapes_what_a_cluster_says(view: View) -> None:
    evil = "<img src=http://evil.example/x onerror=alert(1)>"
    odd = sample.record(
        "rbac.no-wildcard-roles", evil, "fail", reason=evil, findings=(Finding(evil, evil, evil, evil, evil),)
    )

    assert "<img src=http" not in page.render(decided(view, [odd]))


def test_the_page_says_ready_only_if_the_gate_does(view: View) -> None:
    assert "<h1>Not ready</h1>" in page.render(view)
    assert "<h1>Ready</h1>" in page.render(decided(view, sample.good_records()))
    assert "<h1>Incomplete</h1>" in page.render(decided(view, []))


def test_the_page_stays_small_with_60_000_records(view: View) -> None:
    records = [
        replace(record, subject=f"Deployment namespace-{place // 60}/workload-{place}")
        for place in range(3000)
        for name in view.properties
        for record in [
            sample.record(
                name,
                "",
                "fail" if place % 5 == 0 else "pass",
                findings=(
                    Finding(
                        "container app",
                        "an expectation of usual length",
                        "what was seen instead",
                        "kubectl get deployment -o yaml",
                        "set the field",
                    ),
                )
                * (place % 5 == 0),
            )
        ]
    ]
    assert len(records) == 60_000

    text = page.render(decided(view, records))

    assert len(text) < 1_500_000
    assert "and 380 more in records.jsonl" in text


# The timeline -----------------------------------------------------------------------------------------------------------


def test_a_timeline_is_well_formed_and_names_everything() -> None:
    timeline = Timeline.from_json({**sample.TIMELINE, "title": "a <b> & c"})

    text = ET.tostring(ET.fromstring(draw(timeline, alone=True)), encoding="unicode")

    for event in timeline.events:
        assert event.label in text
    assert "leaderless 16.8 s" in text
    assert "bound by the Lease (24.0 s)" in text


def test_numbers_never_cover_each_other() -> None:
    events = [{"t": 1 + place / 100, "lane": "lease", "label": str(place)} for place in range(8)]
    root = ET.fromstring(draw(Timeline.from_json({**sample.TIMELINE, "events": events})))

    circles = [
        (float(each.attrib["cx"].rstrip("%")), float(each.attrib["cy"]))
        for each in root.iter("{http://www.w3.org/2000/svg}circle")
    ]
    assert len(circles) == 8
    for place, (x, y) in enumerate(circles):
        assert all(abs(x - other_x) >= 6.5 or abs(y - other_y) >= 18 for other_x, other_y in circles[:place])


@pytest.mark.parametrize(
    "change",
    [
        {"windows": [{"lane": "x", "start": 0, "end": 1, "kind": "holiday"}]},
        {"events": [{"t": "soon"}]},
        {"bounds": None},
    ],
)
def test_a_file_that_is_no_timeline_is_told_on_the_page(tmp_path: Path, change: dict[str, object]) -> None:
    sample.make(tmp_path / "bundle", sample.good_records(), seal=False)
    path = tmp_path / "bundle" / "journals" / "controller-manager-leader-killed.timeline.json"
    path.write_text(json.dumps({**sample.TIMELINE, **change}))

    assert "is no timeline, so there is no picture of it" in page.render(View.load(tmp_path / "bundle"))


def test_a_timeline_without_any_event_can_be_drawn() -> None:
    empty = Timeline.from_json({"experiment": "x", "events": [], "windows": [], "bounds": [], "error_bar_s": 0})

    ET.fromstring(draw(empty))


# Together ---------------------------------------------------------------------------------------------------------------


def test_every_view_shows_the_verdict_that_the_gate_counted(tmp_path: Path) -> None:
    """A pass over nothing is an error, and so it is in every report."""
    name = "rbac.no-wildcard-roles"
    records = [record for record in sample.good_records() if record.property != name]
    sample.make(tmp_path / "bundle", [*records, sample.record(name, "cluster", examined=0)], seal=False)

    (result,) = [each for each in results(tmp_path / "bundle") if each["labels"][1]["value"] == name]
    case = next(
        case
        for case in ET.parse(tmp_path / "bundle" / "junit.xml").iter("testcase")
        if case.attrib["classname"] == name
    )

    assert result["status"] == "broken"
    assert case.find("error") is not None
    assert (
        "- **error** cluster: it passed without having examined anything"
        in (tmp_path / "bundle" / "report.md").read_text()
    )
    assert "<h1>Not ready</h1>" in (tmp_path / "bundle" / "report" / "index.html").read_text()
