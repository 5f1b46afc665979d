"""JUnit XML: a suite for each area, a case for each property in each namespace, for the CI servers that read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from reports.record import Record, explain
from reports.view import Group, View
from reports.words import Verdict

ELEMENTS = {
    Verdict.FAIL: "failure",
    Verdict.STALE: "error",
    Verdict.ERROR: "error",
    Verdict.NOT_APPLICABLE: "skipped",
    Verdict.NOT_ASSESSED: "skipped",
    Verdict.WAIVED: "skipped",
}
"""What JUnit has for a verdict; a pass and an attestation have no element. The element's `type` keeps our word."""

SHOWN = 100
"""Subjects that one case spells out; the rest stand in records.jsonl."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(view: View) -> bytes:
    """The content of junit.xml, valid by the xunit2 schema: only its elements and attributes occur."""
    root = ET.Element("testsuites", name="kubeworthy")
    totals: Counter[str] = Counter()
    for area, groups in _by_area(view):
        suite = ET.SubElement(root, "testsuite", name=area, timestamp=view.run.started.removesuffix("Z"))
        facts = ET.SubElement(suite, "properties")
        for name, value in _facts(view, groups):
            ET.SubElement(facts, "property", name=name, value=_clean(value))
        counts = Counter({"tests": 0, "failures": 0, "errors": 0, "skipped": 0})
        for group in groups:
            suite.append(_case(view, group))
            counts[{"failure": "failures", "error": "errors"}.get(ELEMENTS.get(group.verdict, ""), "skipped")] += (
                group.verdict in ELEMENTS
            )
            counts["tests"] += 1
        totals += counts
        suite.attrib.update({name: str(count) for name, count in counts.items()})
    root.attrib.update({name: str(totals[name]) for name in ("tests", "failures", "errors")})
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _by_area(view: View) -> Iterable[tuple[str, list[Group]]]:
    areas: dict[str, list[Group]] = {}
    for group in view.groups:
        areas.setdefault(group.property.partition(".")[0], []).append(group)
    # a required property without any record would otherwise be absent, which CI servers show as green
    recorded = {group.property for group in view.groups}
    for name, info in sorted(view.properties.items()):
        if info.required and name not in recorded:
            areas.setdefault(info.area, []).append(Group("", name, "", ()))
    return sorted(areas.items())


def _facts(view: View, groups: list[Group]) -> Iterable[tuple[str, str]]:
    yield "cluster", ", ".join(view.run.cluster_ids)
    yield "run.verdict", str(view.decision.verdict)
    verdicts = Counter(_verdict(group) for group in groups)
    for verdict in Verdict:
        yield f"verdict.{verdict}", str(verdicts[verdict])


def _case(view: View, group: Group) -> ET.Element:
    where = group.namespace or (group.records[0].subject if len(group.records) == 1 else group.cluster)
    case = ET.Element("testcase", classname=group.property, name=_clean(f"{view.title(group.property)} [{where}]"))
    verdict = _verdict(group)
    headline = group.headline if group.records else f"{verdict}: {view.decision.causes[group.property]}"
    if verdict in ELEMENTS:
        element = ET.SubElement(case, ELEMENTS[verdict], type=str(verdict), message=_clean(headline))
        element.text = _clean(_details(group))
    elif verdict is Verdict.ATTESTED:
        ET.SubElement(case, "system-out").text = _clean(f"{headline}\n{_details(group)}")
    return case


def _verdict(group: Group) -> Verdict:
    return group.verdict if group.records else Verdict.NOT_ASSESSED


def _details(group: Group) -> str:
    deciding = group.deciding() if group.records else []
    lines = [line for record in deciding[:SHOWN] for line in _about(record)]
    if len(deciding) > SHOWN:
        lines.append(f"and {len(deciding) - SHOWN} more subjects, see records.jsonl")
    return "\n".join(lines)


def _about(record: Record) -> Iterable[str]:
    yield (
        f"{record.subject}: {explain(record)}"
        if not record.findings
        else f"{record.subject}: {record.reason}".rstrip(": ")
    )
    for finding in record.findings:
        yield f"  {finding.at}: expected {finding.expected}; observed {finding.observed}"
        if finding.look:
            yield f"    look: {finding.look}"
        if finding.fix:
            yield f"    fix:  {finding.fix}"
    for name, value in sorted({**record.waiver, **record.attestation}.items()):
        yield f"  {name}: {value}"


def _clean(text: str) -> str:
    """The text without what XML 1.0 cannot hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
