"""All reports of a bundle, made from its records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports import allure_html, allure_results, junit, markdown, page
from reports.files import write_atomically
from reports.view import View


def write_views(view: View, out: Path) -> None:
    """Write the reports that are the same bytes for the same bundle: JUnit, Markdown, the page, Allure's results."""
    write_atomically(out / "junit.xml", junit.render(view))
    write_atomically(out / "report.md", markdown.render(view).encode())
    write_atomically(out / "report" / "index.html", page.render(view).encode())
    allure_results.write(view, out / "allure-results")


def write_allure_html(view: View, out: Path, say: Callable[[str], None]) -> None:
    """Write Allure's HTML where Node is at hand; else `say` why there is none."""
    allure_html.write(view, out / "allure-results", out / "report" / "allure", say)
