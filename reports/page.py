"""report/index.html: the readiness page, one file that opens from disk, asks nothing of a network, and can be printed."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import evidence
from reports.files import clear_errors
from reports.properties import PropertyInfo
from reports.record import Measure, Record, explain
from reports.seal import digest
from reports.timeline import STYLE, STYLE_DARK, Timeline, draw
from reports.view import View
from reports.words import BREAKS, HOLDS, RunVerdict, Severity, Verdict

TEMPLATES = Path(__file__).parent / "templates"
SUBJECTS_SPELT_OUT = 20
SUBJECTS_NAMED = 200
FINDINGS_SPELT_OUT = 6
"""So much of each property that does not hold is on the page; the rest is counted, and stands in records.jsonl."""
PICTURE_BYTES = 800_000
"""The largest picture that is put into the page."""

VERDICT_WORDS = {RunVerdict.READY: "Ready", RunVerdict.NOT_READY: "Not ready", RunVerdict.INCOMPLETE: "Incomplete"}
WORDS = {
    Verdict.FAIL: "fail",
    Verdict.ERROR: "error",
    Verdict.STALE: "stale",
    Verdict.NOT_ASSESSED: "not assessed",
    Verdict.WAIVED: "waived",
    Verdict.ATTESTED: "attested",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.PASS: "pass",
}
"""The verdicts in the order of the page's bars and legends, as the page spells them."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One property with those of its records that the page is about."""

    name: str
    title: str
    info: PropertyInfo | None
    doc: str
    records: list[Record]

    @property
    def severity(self) -> Severity:
        """The severity of the first record; all of a property's have the same."""
        return self.records[0].severity

    @property
    def required(self) -> bool:
        """Whether the run had to prove it."""
        return bool(self.info and self.info.required)

    @property
    def shown(self) -> list[Record]:
        """The records that are spelt out."""
        return self.records[:SUBJECTS_SPELT_OUT]

    @property
    def named(self) -> list[str]:
        """The subjects that are named only."""
        return [record.subject for record in self.records[SUBJECTS_SPELT_OUT : SUBJECTS_SPELT_OUT + SUBJECTS_NAMED]]

    @property
    def uncounted(self) -> int:
        """How many subjects are neither spelt out nor named."""
        return max(0, len(self.records) - SUBJECTS_SPELT_OUT - SUBJECTS_NAMED)

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts that occur, in the order of the page."""
        present = {record.verdict for record in self.records}
        return [verdict for verdict in WORDS if verdict in present]


@dataclass(frozen=True, slots=True)
class Area:
    """One area: how many of its properties have which verdict, and of its required ones, how many hold."""

    name: str
    counts: dict[Verdict, int]
    required: int
    holding: int
    subjects: int

    @property
    def total(self) -> int:
        """How many properties the area has."""
        return sum(self.counts.values())


def render(view: View) -> str:
    """The page. The same bundle gives the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"day": _day, "moment": _moment, "number": _number, "explain": explain}
    script = _source("page.js")
    token = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        style=Markup(_source("page.css") + STYLE + f"@media screen and (prefers-color-scheme:dark){{{STYLE_DARK}}}"),
        script=Markup(script),
        script_digest=token,
        view=view,
        run=view.run,
        decision=view.decision,
        verdict_word=VERDICT_WORDS[view.decision.verdict],
        **_context(view),
    )


def _context(view: View) -> dict[str, Any]:
    return {
        "words": WORDS,
        "Verdict": Verdict,
        "severities": list(Severity),
        "findings_spelt_out": FINDINGS_SPELT_OUT,
        "required_open": list(_required_open(view)),
        "areas": _areas(view),
        "subject_counts": {verdict: view.decision.count(verdict) for verdict in WORDS},
        "broken": _topics(view, *BREAKS),
        "waived": _topics(view, Verdict.WAIVED),
        "attested": _topics(view, Verdict.ATTESTED),
        "unassessed": _topics(view, Verdict.NOT_ASSESSED),
        "inapplicable": _topics(view, Verdict.NOT_APPLICABLE),
        "passes": _passes(view),
        "measures": list(_measures(view)),
        "timelines": list(_timelines(view)),
        "pictures": list(_pictures(view)),
        "requirements": _requirements(view),
        "records_digest": digest(view.folder / "records.jsonl"),
    }


def _topics(view: View, *verdicts: Verdict) -> list[Topic]:
    gathered: dict[str, list[Record]] = {}
    for record in view.having(*verdicts):
        gathered.setdefault(record.property, []).append(record)
    topics = [
        Topic(name, view.title(name), view.properties.get(name), _doc(view, name), records)
        for name, records in gathered.items()
    ]
    # what decides the run's verdict comes first, however grave the rest may be
    return sorted(topics, key=lambda topic: not topic.required)


def _required_open(view: View) -> Iterator[dict[str, str]]:
    for name, info in sorted(
        view.properties.items(), key=lambda item: (list(Severity).index(item[1].severity), item[0])
    ):
        if info.required and view.decision.outcomes[name] is Verdict.NOT_ASSESSED:
            yield {
                "name": name,
                "title": info.title,
                "severity": str(info.severity),
                "why": view.decision.causes[name],
                "doc": _doc(view, name),
            }


def _areas(view: View) -> list[Area]:
    subjects = Counter(record.area for record in view.records)
    outcomes = view.decision.outcomes
    areas = []
    for area in sorted({info.area for info in view.properties.values()}):
        names = [name for name, info in view.properties.items() if info.area == area]
        counts = Counter(outcomes[name] for name in names)
        required = [name for name in names if view.properties[name].required]
        holding = sum(outcomes[name] in HOLDS for name in required)
        ordered = {verdict: counts[verdict] for verdict in WORDS if counts[verdict]}
        areas.append(Area(area, ordered, len(required), holding, subjects[area]))
    return areas


def _passes(view: View) -> list[tuple[str, list[tuple[str, str, int, str]]]]:
    """By area: each property that passes as a whole, with its title, the number of its subjects and its page."""
    subjects = Counter(record.property for record in view.records if record.verdict is Verdict.PASS)
    areas: dict[str, list[tuple[str, str, int, str]]] = {}
    for name, info in sorted(view.properties.items()):
        if view.decision.outcomes[name] is Verdict.PASS:
            areas.setdefault(info.area, []).append((name, info.title, subjects[name], _doc(view, name)))
    return sorted(areas.items())


def _measures(view: View) -> Iterator[tuple[Record, Measure]]:
    for record in sorted(view.records, key=lambda record: (record.property, record.cluster, record.subject)):
        for measure in record.measures:
            yield record, measure


def _timelines(view: View) -> Iterator[tuple[str, Timeline | None, Markup]]:
    for path, timeline in evidence.timelines(view.folder):
        # draw escapes every text that it puts in
        yield path, timeline, Markup(draw(timeline)) if timeline else Markup("")


def _pictures(view: View) -> Iterator[tuple[str, str, str]]:
    """Path, name and content of each picture; as an image of its own, it can run and load nothing."""
    for path in evidence.pictures(view.folder):
        with clear_errors(f"cannot read {path}"):
            content = (view.folder / path).read_bytes()
        fits = len(content) <= PICTURE_BYTES
        name = Path(path).stem
        yield path, name, f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}" if fits else ""


def _requirements(view: View) -> dict[str, list[str]]:
    """The requirement lines by what became of them: each is as good as the worst of its properties."""
    traced: dict[str, set[Verdict]] = {}
    for name, info in view.properties.items():
        for requirement in info.requirements:
            traced.setdefault(requirement, set()).add(view.decision.outcomes[name])
    fates: dict[str, list[str]] = {"hold": [], "do not hold": [], "are not decided": []}
    for requirement, verdicts in sorted(traced.items()):
        fate = "do not hold" if verdicts & BREAKS else "hold" if verdicts <= HOLDS else "are not decided"
        fates[fate].append(requirement)
    return fates


def _doc(view: View, name: str) -> str:
    """The address of a property's page: on the web if the run knew one, else of the copy in the bundle, if there is one."""
    info = view.properties.get(name)
    if not info or not info.doc:
        return ""
    if view.run.docs_url.startswith(("https://", "http://")):
        return view.run.docs_url.rstrip("/") + "/" + info.doc
    return "../" + info.doc if (view.folder / info.doc).is_file() else ""


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text()


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M UTC")
    except ValueError:
        return text


def _day(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y")
    except ValueError:
        return text


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
