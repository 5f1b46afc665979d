"""report.md: the verdict for a pull request or a job summary, in GitHub's Markdown, short and the reason on top."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reports.record import Record, explain
from reports.view import View
from reports.words import BREAKS, RunVerdict, Severity, Verdict

MARKS = {RunVerdict.READY: "✅", RunVerdict.NOT_READY: "❌", RunVerdict.INCOMPLETE: "⚠️"}
PROPERTIES_SHOWN = 25
SUBJECTS_SHOWN = 5
"""Together they keep the text under the 65,536 characters that a comment on GitHub can hold."""
TEXT_SHOWN = 160


def render(view: View) -> str:
    """The content of report.md."""
    parts = (_top(view), _undecided(view), _broken(view), _accepted(view), _numbers(view), _facts(view))
    return "\n".join(line for part in parts for line in part) + "\n"


def _top(view: View) -> Iterator[str]:
    decision = view.decision
    yield f"# {MARKS[decision.verdict]} {decision.verdict}: {_text(', '.join(view.run.cluster_ids))}"
    yield ""
    yield f"**{_text(decision.reasons[0])}**"
    others = len(decision.reasons) - 1
    if others:
        yield f"({others} more {'reason' if others == 1 else 'reasons'} below.)"
    yield ""
    yield "| readiness | coverage | required and decided |"
    yield "|---|---|---|"
    shares = (decision.readiness, decision.coverage, decision.required_coverage)
    yield "| " + " | ".join(f"**{share.percent} %** ({share.part} of {share.whole})" for share in shares) + " |"
    yield ""
    yield "| severity | required | decided | hold | " + " | ".join(Verdict) + " |"
    yield "|---|" + "---:|" * (3 + len(Verdict))
    for severity in Severity:
        row = decision.required[severity]
        counts = decision.records[severity]
        cells = [row["required"], row["decided"], row["holds"], *(counts[verdict] or "" for verdict in Verdict)]
        yield f"| {severity} | " + " | ".join(map(str, cells)) + " |"
    yield ""
    yield "Required, decided and hold count properties; the verdicts count subjects."


def _undecided(view: View) -> Iterator[str]:
    decision = view.decision
    names = [name for name, info in sorted(view.properties.items()) if info.required]
    names = [name for name in names if decision.outcomes[name] is Verdict.NOT_ASSESSED]
    if names:
        yield f"\n## Required, but not decided ({len(names)})\n"
        yield from _capped([f"- `{name}` {_text(view.title(name))}: {_text(decision.causes[name])}" for name in names])


def _broken(view: View) -> Iterator[str]:
    gathered: dict[str, list[Record]] = {}
    for record in view.having(*BREAKS):
        gathered.setdefault(record.property, []).append(record)
    if not gathered:
        return
    yield f"\n## What does not hold ({len(gathered)})"
    for name, records in list(gathered.items())[:PROPERTIES_SHOWN]:
        info = view.properties.get(name)
        required = "required" if info and info.required else "not required"
        yield f"\n### `{name}` {_text(view.title(name))}\n"
        yield f"{records[0].severity}, {required}, {len(records)} {'subject' if len(records) == 1 else 'subjects'}\n"
        for record in records[:SUBJECTS_SHOWN]:
            yield f"- **{record.verdict}** {_text(record.subject)}: {_text(explain(record))}"
            fixes = [finding.fix for finding in record.findings if finding.fix]
            if fixes:
                yield f"  Fix: {_text(fixes[0])}"
        if len(records) > SUBJECTS_SHOWN:
            yield f"- and {len(records) - SUBJECTS_SHOWN} more"
    if len(gathered) > PROPERTIES_SHOWN:
        yield f"\nand {len(gathered) - PROPERTIES_SHOWN} more properties: see `report/index.html`."


def _accepted(view: View) -> Iterator[str]:
    if view.run.waivers:
        yield f"\n## Waivers ({len(view.run.waivers)})\n"
        yield from _table(("property", "subjects", "reason", "owner", "approver", "expires", "state"), view.run.waivers)
    if view.run.attestations:
        yield f"\n## Attestations ({len(view.run.attestations)})\n"
        yield from _table(("property", "statement", "owner", "role", "date", "expires", "state"), view.run.attestations)


def _numbers(view: View) -> Iterator[str]:
    rows = [
        {
            "property": record.property,
            "subject": record.subject,
            "measure": measure.name,
            "value": f"{measure.value:g} {measure.unit}",
            "bound": "" if measure.bound is None else f"{measure.bound:g} {measure.unit}",
            "verdict": str(record.verdict),
        }
        for record in sorted(view.records, key=lambda record: (record.property, record.cluster, record.subject))
        for measure in record.measures
    ]
    if rows:
        yield f"\n## Measured ({len(rows)})\n"
        yield from _table(("property", "subject", "measure", "value", "bound", "verdict"), rows)


def _facts(view: View) -> Iterator[str]:
    run = view.run
    yield "\n## The run\n"
    for cluster in run.clusters:
        yield f"- cluster `{_text(cluster.id)}` ({cluster.kind}, {_text(cluster.server_version or 'version unknown')})"
    yield f"- {run.started} to {run.ended or 'unknown'}, Kubeworthy {_text(run.suite_version)}"
    yield f"- profile {_text(run.profile or 'none')}, policy {_text(run.policy_digest or 'none')}"
    yield from (f"- not complete: {_text(reason)}" for reason in run.incomplete)


def _table(columns: tuple[str, ...], rows: Iterable[dict[str, str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    yield from _capped(["| " + " | ".join(_text(row.get(column, "")) for column in columns) + " |" for row in rows])


def _capped(lines: list[str]) -> Iterator[str]:
    yield from lines[:PROPERTIES_SHOWN]
    if len(lines) > PROPERTIES_SHOWN:
        yield f"\nand {len(lines) - PROPERTIES_SHOWN} more: see `report/index.html`."


def _text(text: str) -> str:
    """A text that Markdown takes as it is: on one line, not too long, no markup, no mention of anybody."""
    line = " ".join(text.split())
    line = line if len(line) <= TEXT_SHOWN else line[: TEXT_SHOWN - 1] + "…"
    return re.sub(r"([\\`*_{}\[\]<>|#~$@])", r"\\\1", line) if "<" not in line and "@" not in line else _entities(line)


def _entities(line: str) -> str:
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return re.sub(r"([\\`*_{}\[\]>|#~$])", r"\\\1", line).replace("&\\#64;", "&#64;")
