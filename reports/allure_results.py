"""Allure's results: one for each property in each namespace, written from the records after the run.

The files have the shape of allure_commons.model2, but stable names and ids: the same bundle gives the same bytes, and two
clusters never overwrite each other. (Allure's own file logger names its files at random.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from allure_commons.model2 import ATTACHMENT_PATTERN, TEST_CASE_PATTERN, Status
from allure_commons.types import AttachmentType, LabelType, LinkType
from allure_commons.types import Severity as AllureSeverity

from reports import evidence
from reports.properties import PropertyInfo
from reports.record import Finding, Record, explain, uuid5
from reports.timeline import Timeline, draw
from reports.view import Group, View
from reports.words import BREAKS, Severity, Verdict

STATUSES = {
    Verdict.PASS: Status.PASSED,
    Verdict.ATTESTED: Status.PASSED,
    Verdict.FAIL: Status.FAILED,
    Verdict.ERROR: Status.BROKEN,
    Verdict.STALE: Status.BROKEN,
    Verdict.WAIVED: Status.SKIPPED,
    Verdict.NOT_APPLICABLE: Status.SKIPPED,
    Verdict.NOT_ASSESSED: Status.SKIPPED,
}
SEVERITIES = {
    Severity.CRITICAL: AllureSeverity.BLOCKER,
    Severity.HIGH: AllureSeverity.CRITICAL,
    Severity.MEDIUM: AllureSeverity.NORMAL,
    Severity.LOW: AllureSeverity.MINOR,
}
CATEGORIES = {
    Verdict.FAIL: "Fails",
    Verdict.ERROR: "Could not be decided (error)",
    Verdict.STALE: "Evidence is stale",
    Verdict.NOT_ASSESSED: "Not assessed",
    Verdict.WAIVED: "Waived: fails, and is accepted until a date",
    Verdict.ATTESTED: "Attested: a person says so",
    Verdict.NOT_APPLICABLE: "Not applicable: proved to be absent",
    Verdict.PASS: "Passes",
}
STEPS_SHOWN = 200
"""Holding subjects that one result lists as steps; those that do not hold are all listed."""

_TELLING = BREAKS | {Verdict.NOT_ASSESSED}


def write(view: View, folder: Path) -> int:
    """Write the results and return how many there are. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    attachments = _Attachments(view.folder, folder)
    for group in view.groups:
        _put(folder / TEST_CASE_PATTERN.format(prefix=_uuid(group)), _result(view, group, attachments))
    _put(folder / "categories.json", categories())
    _put(folder / "executor.json", _executor(view))
    (folder / "environment.properties").write_bytes(_environment(view))
    return len(view.groups)


def categories() -> list[dict[str, Any]]:
    """Allure's categories for the eight verdicts; each matches the first word of a result's message."""
    # the pattern fits both Java's whole match (Allure 2) and JavaScript's search (Allure 3)
    return [
        {"name": name, "matchedStatuses": [STATUSES[verdict]], "messageRegex": rf"^{verdict}: [\s\S]*"}
        for verdict, name in CATEGORIES.items()
    ]


def _result(view: View, group: Group, attachments: _Attachments) -> dict[str, Any]:
    info = view.properties.get(group.property)
    moments = [_milliseconds(record.collected) for record in group.records]
    where = group.namespace or (group.records[0].subject if len(group.records) == 1 else "cluster-wide")
    title = view.title(group.property)
    result = {
        "uuid": _uuid(group),
        "historyId": _hex("history", group),
        "testCaseId": _hex("case", group),
        "fullName": f"{group.cluster}: {group.property} [{where}]",
        "name": f"{title} [{where}]",
        "titlePath": [group.cluster, *group.property.split(".", 1)],
        "status": STATUSES[group.verdict],
        "statusDetails": _details(group),
        "stage": "finished",
        "start": min(moments),
        "stop": max(moments),
        "labels": list(_labels(view, group, where)),
        "parameters": [
            {"name": "cluster", "value": group.cluster},
            {"name": "namespace", "value": group.namespace or "-"},
            # excluded: a parameter that changes would start a new history
            {"name": "verdict", "value": str(group.verdict), "excluded": True},
        ],
        "steps": _steps(group),
    }
    attached = attachments.of(group.records)
    if info:
        result["description"] = f"{title}\n\nProperty `{group.property}`, proof holds for {info.ttl}."
        # Allure shows relative links but lets nobody follow them, so without an address the page itself is attached
        if info.doc and view.run.docs_url:
            url = view.run.docs_url.rstrip("/") + "/" + info.doc
            result["links"] = [{"type": LinkType.LINK, "url": url, "name": f"What {group.property} means"}]
        elif page := attachments.page(info):
            attached.append(page)
    if attached:
        result["attachments"] = attached
    return result


def _details(group: Group) -> dict[str, Any]:
    lines = [
        f"{record.subject}: {finding.at}: expected {finding.expected}, observed {finding.observed}"
        for record in group.records
        for finding in record.findings
    ]
    details: dict[str, Any] = {"message": group.headline}
    if lines:
        details["trace"] = "\n".join(lines)
    if group.verdict is Verdict.WAIVED:
        details["known"] = True
    return details


def _labels(view: View, group: Group, where: str) -> Iterator[dict[str, str]]:
    info = view.properties.get(group.property)
    subject = group.records[0].subject if len(group.records) == 1 else where
    area = group.property.partition(".")[0]
    pairs = [
        (LabelType.EPIC, area),
        (LabelType.FEATURE, group.property),
        (LabelType.STORY, subject),
        (LabelType.PARENT_SUITE, group.cluster),
        (LabelType.SUITE, area),
        (LabelType.SUB_SUITE, group.property),
        (LabelType.SEVERITY, SEVERITIES[group.severity].value),
        (LabelType.FRAMEWORK, "kubeworthy"),
        (LabelType.LANGUAGE, "python"),
        (LabelType.TAG, str(group.verdict)),
        (LabelType.TAG, "required" if info and info.required else "not required"),
    ]
    pairs += [(LabelType.TAG, requirement) for requirement in (info.requirements if info else ())]
    owners = {record.waiver.get("owner") or record.attestation.get("owner") for record in group.records}
    pairs += [("owner", owner) for owner in sorted(filter(None, owners))]
    return ({"name": str(name), "value": value} for name, value in pairs)


def _steps(group: Group) -> list[dict[str, Any]]:
    telling = [record for record in group.records if record.verdict in _TELLING]
    others = [record for record in group.records if record.verdict not in _TELLING]
    steps = [_step(record) for record in (*telling, *others[:STEPS_SHOWN])]
    if len(others) > STEPS_SHOWN:
        steps.append({"name": f"and {len(others) - STEPS_SHOWN} more subjects that hold", "status": Status.PASSED})
    return steps


def _step(record: Record) -> dict[str, Any]:
    moment = _milliseconds(record.collected)
    step: dict[str, Any] = {
        "name": f"{record.subject} ({record.verdict})",
        "status": STATUSES[record.verdict],
        "stage": "finished",
        "start": moment,
        "stop": moment,
    }
    if why := explain(record):
        step["statusDetails"] = {"message": f"{record.verdict}: {why}"}
    below = [_finding(finding, step) for finding in record.findings]
    below += [
        {**_bare(step), "name": f"{each.name}: {each.value:g} {each.unit}" + _bound(each.bound, each.unit)}
        for each in record.measures
    ]
    if below:
        step["steps"] = below
    facts = {**record.waiver, **record.attestation}
    if facts:
        step["parameters"] = [{"name": name, "value": facts[name]} for name in sorted(facts)]
    return step


def _finding(finding: Finding, step: dict[str, Any]) -> dict[str, Any]:
    ways = {"look": finding.look, "fix": finding.fix}
    return {
        **_bare(step),
        "name": f"{finding.at}: expected {finding.expected}, observed {finding.observed}",
        "parameters": [{"name": name, "value": value} for name, value in ways.items() if value],
    }


def _bare(step: dict[str, Any]) -> dict[str, Any]:
    return {key: step[key] for key in ("status", "stage", "start", "stop")}


def _bound(bound: float | None, unit: str) -> str:
    return "" if bound is None else f" (bound {bound:g} {unit})"


_ATTACHED = {".json": AttachmentType.JSON.mime_type, ".svg": AttachmentType.SVG.mime_type, ".md": "text/markdown"}


class _Attachments:
    """The evidence of records, copied once each under a name made from its path."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self._bundle = bundle
        self._folder = folder
        self._made: dict[str, dict[str, str]] = {}

    def of(self, records: Iterable[Record]) -> list[dict[str, str]]:
        """The attachments of some records; timelines come with their picture."""
        named = [record for record in records if record.evidence]
        attached = []
        for path in evidence.paths(self._bundle, named):
            file = self._bundle / path
            if file.suffix in _ATTACHED:
                attached.append(self._attach(path, path, file.suffix, file.read_bytes))
            if path.endswith(evidence.TIMELINE) and (timeline := evidence.timeline(file)):
                picture = partial(_picture, timeline)
                attached.append(self._attach(path + ".svg", f"Timeline: {timeline.title}", ".svg", picture))
        return attached

    def page(self, info: PropertyInfo) -> dict[str, str] | None:
        """The page of a property, if the bundle has it."""
        file = self._bundle / info.doc
        if not info.doc or not file.is_file():
            return None
        return self._attach(info.doc, f"What {info.id} means", ".md", file.read_bytes)

    def _attach(self, key: str, name: str, suffix: str, content: Callable[[], bytes]) -> dict[str, str]:
        if key not in self._made:
            prefix = uuid5(f"attachment\n{key}")
            source = ATTACHMENT_PATTERN.format(prefix=prefix, ext=suffix.removeprefix("."))
            (self._folder / source).write_bytes(content())
            self._made[key] = {"name": name, "source": source, "type": _ATTACHED[suffix]}
        return self._made[key]


def _picture(timeline: Timeline) -> bytes:
    return draw(timeline, alone=True).encode()


def _environment(view: View) -> bytes:
    run, decision = view.run, view.decision
    pairs = {
        "verdict": str(decision.verdict),
        "readiness": f"{decision.readiness.percent} % ({decision.readiness.part} of {decision.readiness.whole})",
        "coverage": f"{decision.coverage.percent} % ({decision.coverage.part} of {decision.coverage.whole})",
        "profile": run.profile,
        "policy": run.policy_digest,
        "started": run.started,
        "ended": run.ended,
        "kubeworthy": run.suite_version,
    }
    for position, cluster in enumerate(run.clusters):
        name = "cluster" if len(run.clusters) == 1 else f"cluster.{position}"
        pairs[name] = f"{cluster.id} ({cluster.kind}) {cluster.server_version}".strip()
    pairs |= {f"tool.{name}": version for name, version in sorted(run.tools.items())}
    return "".join(f"{_escaped(name)}={_escaped(value)}\n" for name, value in pairs.items() if value).encode()


def _escaped(text: str) -> str:
    # Java's properties: a colon, an equals sign or a backslash would end the key or start an escape
    return " ".join(text.split()).replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")


def _executor(view: View) -> dict[str, Any]:
    name = ", ".join(view.run.cluster_ids)
    return {
        "name": "Kubeworthy",
        "type": "kubeworthy",
        "buildName": f"{name} {view.run.started}",
        "reportName": f"{view.decision.verdict}: {name}",
    }


@cache  # a run knows as many moments as it lasted seconds
def _milliseconds(moment: str) -> int:
    try:
        return int(datetime.fromisoformat(moment).timestamp() * 1000)
    except ValueError:
        return 0


def _uuid(group: Group) -> str:
    return uuid5(f"allure\n{group.cluster}\n{group.property}\n{group.namespace}")


def _hex(kind: str, group: Group) -> str:
    return uuid5(f"{kind}\n{group.cluster}\n{group.property}\n{group.namespace}").replace("-", "")


def _put(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
