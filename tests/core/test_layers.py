"""Arrows go one way, and no module is too long to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "reports": {"reports"},
    "fixtures": {"fixtures", "reports"},
    "suites": {"suites", "fixtures", "reports.words"},
    "chaos": {"chaos", "fixtures", "reports.words"},
    "load": {"load", "fixtures", "reports.words"},
}
OURS = {"reports", "fixtures", "suites", "chaos", "load", "tests", "docs", "conftest"}
MODULES = sorted(path for folder in (*ALLOWED, "docs") for path in (ROOT / folder).rglob("*.py"))
LONGEST = 400


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.partition(".")[0] in OURS}


def crosses(name: str, allowed: set[str]) -> bool:
    return not any(name == one or name.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_stays_in_its_layer_and_is_short(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    allowed = ALLOWED.get(folder, OURS)
    # `from reports import words` is as good as `from reports.words import Verdict`
    packages = {one.rpartition(".")[0] for one in allowed if "." in one}

    wrong = sorted(name for name in imports(path) if crosses(name, allowed) and name not in packages)

    assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"
    assert len(path.read_text().splitlines()) <= LONGEST


def test_one_suite_never_imports_another() -> None:
    for path in (ROOT / "suites").rglob("*.py"):
        area = path.relative_to(ROOT).parts[1]
        others = {name for name in imports(path) if name.startswith("suites.") and name.split(".")[1] != area}
        assert not others, f"{path.relative_to(ROOT)} imports {sorted(others)}"


def test_the_eight_words_are_defined_once() -> None:
    definitions = [
        path
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name in ("Verdict", "RunVerdict", "Severity", "Record")
    ]

    assert sorted({str(path.relative_to(ROOT)) for path in definitions}) == ["reports/record.py", "reports/words.py"]
    assert len(definitions) == 4
