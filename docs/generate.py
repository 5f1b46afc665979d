"""Makes what follows from the code: a page for each property, their index, limits, the command line, RBAC manifests.

python -m docs.generate            write them
python -m docs.generate --check    exit 1 and name what is out of date
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from docs import rbac
from fixtures import catalogue, limits, requirements
from fixtures.plugin import options
from fixtures.readiness import Check
from fixtures.requirements import Requirement

ROOT = Path(__file__).parent.parent
BANNER = "<!-- Made by python -m docs.generate from the code; edit the docstring, not this page. -->\n"


def pages() -> dict[str, str]:
    """Every generated page: path from the root of the project -> text."""
    checks = catalogue.load()
    lines = requirements.load()
    answered = requirements.answered_by(lines.values())
    made = {
        check.page: _property(check, [lines[one] for one in answered.get(check.id, ())]) for check in checks.values()
    }
    made["docs/properties/README.md"] = _index(list(checks.values()))
    made["docs/reference/limits.md"] = _limits()
    made["docs/reference/command-line.md"] = _command_line()
    return made | rbac.manifests(checks.values())


def _property(check: Check, lines: list[Requirement]) -> str:
    source = check.module.replace(".", "/") + ".py"
    needs = ", ".join(f"`{need}`" for need in sorted(check.needs))
    text = [
        BANNER,
        f"# {check.id}\n",
        f"**{check.title}**\n",
        "| | |\n|---|---|",
        f"| severity | {check.severity} |",
        f"| subject | {check.subject.parameter.replace('_', ' ')} |",
        f"| needs | {needs} |",
        f"| reads | {', '.join(f'`{kind}`' for kind in check.all_reads) or 'nothing from the inventory'} |",
        f"| consent on a live cluster | {check.consent or 'none: it only reads'} |",
        *([f"| makes in the lab | {', '.join(f'`{use}`' for use in check.uses)} |"] if check.uses else []),
        f"| a result holds for | {_days(check)} |",
        f"| source | [{source}](../../../{source}) |\n",
    ]
    for heading, words in check.sections.items():
        text.append(f"## {heading}\n\n{words[:1].upper()}{words[1:]}\n")
    text.append("## Run it alone\n")
    text.append(f"    pytest {check.module.split('.')[0]} --property {check.id}\n")
    if lines:
        text.append("## Requirements\n\n| requirement | origin | frameworks |\n|---|---|---|")
        text += [f"| {line.id} | {line.origin} | {', '.join(line.frameworks) or '-'} |" for line in lines]
        text.append("")
    return "\n".join(text)


def _days(check: Check) -> str:
    hours = int(check.ttl.total_seconds() // 3600)
    return f"{hours // 24} days" if hours % 24 == 0 else f"{hours} hours"


def _index(checks: list[Check]) -> str:
    areas: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        areas[check.area].append(check)
    text = [BANNER, "# Properties\n", f"{len(checks)} properties in {len(areas)} areas.\n"]
    for area in sorted(areas):
        text.append(f"## {area}\n\n| property | severity | desired state |\n|---|---|---|")
        for check in sorted(areas[area], key=lambda one: one.id):
            page = check.page.removeprefix("docs/properties/")
            text.append(f"| [{check.id}]({page}) | {check.severity} | {check.title} |")
        text.append("")
    return "\n".join(text)


def _limits() -> str:
    text = [
        BANNER,
        "# Limits\n",
        "Every timeout, SLO, weight and budget. A policy file may set them under `thresholds`, by these names.\n",
        "| name | value | unit | origin |\n|---|---|---|---|",
    ]
    text += [f"| `{one.name}` | {one.value:g} | {one.unit} | {one.origin} |" for one in limits.table()]
    return "\n".join(text) + "\n"


def _command_line() -> str:
    parser = pytest.Parser(_ispytest=True)
    options.add(parser)
    text = [
        BANNER,
        "# Command line\n",
        "    pytest [suites] [load] [chaos] [FOLDER ...]\n",
        "Everything of pytest's own works as well (`-n 2`, `-k`, `-x`, `-v`).\n",
        "| option | meaning |\n|---|---|",
    ]
    for option in parser.getgroup("readiness").options:
        plain = option.attrs()
        values = f" {plain['metavar']}" if plain.get("metavar") else ""
        if plain.get("choices"):
            values = " " + "\\|".join(plain["choices"])
        text.append(f"| `{option.names()[0]}{values}` | {plain.get('help', '')} |")
    text.append(_EXIT_CODES)
    return "\n".join(text)


_EXIT_CODES = """
## Exit codes

| code | meaning |
|---|---|
| 0 | READY |
| 1 | NOT READY |
| 2 | interrupted; what was recorded is kept and marked INCOMPLETE |
| 3 | internal error |
| 4 | usage error: an option, the policy file, the kubeconfig or the target cannot be used |
| 5 | nothing was collected |
| 6 | INCOMPLETE: nothing failed, but a required property was not assessed |

## Other commands

    python -m fixtures.clusters  up | down | status | build      an embedded cluster to work with
    python -m chaos              plan | cleanup                  what an experiment would do; undo what a killed run left
    python -m reports            verify | compare | render       work with bundles
"""


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    check = parser.parse_args(arguments).check
    wrong = 0
    made = pages()
    present = {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "properties").rglob("*.md")}
    for name in sorted(present - made.keys()):
        wrong += 1
        print(f"{name} has no property any more")
        if not check:
            (ROOT / name).unlink()
    for name, text in sorted(made.items()):
        path = ROOT / name
        old = path.read_text() if path.exists() else ""
        if old == text:
            continue
        wrong += 1
        if check:
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), name, "generated"))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    return 1 if check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
