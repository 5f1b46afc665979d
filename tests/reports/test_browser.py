"""The page and Allure's HTML in a real browser: no outside request, no sideways scrolling, readable in the dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from reports import allure_html
from reports.allure_html import without_tracker
from tests.reports import sample
from tests.reports.browser import PROGRAM, Browser, chromium

pytestmark = pytest.mark.skipif(not PROGRAM, reason="chromium is not installed")

needs_node = pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not installed"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    records = [
        *sample.bad_records(),
        sample.record(
            "workloads.probes", f"Deployment shop/{'very-long-name-' * 12}", "fail", namespace="shop", reason="x" * 300
        ),
    ]
    sample.make(folder / "bundle", records, docs=sample.pages(folder / "site"), seal=False)
    return folder / "bundle" / "report" / "index.html"


def outside(browser: Browser) -> list[str]:
    return [address for address in browser.requests if not address.startswith(("file:", "data:", "blob:", "about:"))]


def test_an_outside_request_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<img src='http://127.0.0.1:9/pixel.png'>")

    browser.open(tmp_path / "index.html", width=800)

    assert outside(browser) == ["http://127.0.0.1:9/pixel.png"]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_asks_for_nothing_but_itself(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)

    assert [address for address in browser.requests if not address.startswith("data:")] == [page.as_uri()]


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_does_not_scroll_sideways_even_when_all_is_open(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")

    assert browser.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """
(() => {
  const channel = value => { value /= 255; return value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
  const luminance = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  document.querySelectorAll('details').forEach(each => { each.open = true; });
  for (const element of document.querySelectorAll('body *:not(svg):not(svg *):not(script)')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const [one, two] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const ratio = (Math.max(one, two) + .05) / (Math.min(one, two) + .05);
    if (ratio < 4.5) poor.push(element.className + ' ' + element.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return poor;
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(browser: Browser, page: Path, dark: bool) -> None:
    browser.open(page, width=1280, dark=dark)

    assert browser.evaluate(CONTRAST) == []


def test_the_page_has_one_heading_of_the_first_level_and_leaves_none_out(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)

    levels = browser.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(each => Number(each.tagName[1]))"
    )

    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_picture_has_words_and_every_target_can_be_reached(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)

    assert browser.evaluate("[...document.querySelectorAll('img')].every(each => each.alt.length > 10)")
    assert browser.evaluate(
        "[...document.querySelectorAll('svg')].every(each => each.getAttribute('aria-label').length > 10)"
    )
    assert browser.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].every(each => document.querySelector(each.getAttribute('href')))"
    )


def test_paper_shows_what_is_folded_away(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    browser.evaluate(
        "addEventListener('beforeprint', () => { window.folded = document.querySelectorAll('details:not([open])').length; })"
    )
    folded = browser.evaluate("document.querySelectorAll('details:not([open])').length")

    assert browser.pdf().startswith(b"%PDF")
    assert folded > 0
    assert browser.evaluate("window.folded") == 0
    assert browser.evaluate("document.querySelectorAll('details:not([open])').length") == folded


@needs_node
def test_allures_html_opens_from_disk_and_asks_for_nothing(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    said: list[str] = []
    for name, records in (("first", sample.good_records()), ("second", sample.bad_records())):
        sample.make(tmp_path / name, records, allure_html=True, say=said.append, seal=False)
    report = tmp_path / "second" / "report" / "allure" / "index.html"

    assert report.is_file(), said
    assert len((report.parent / "history.jsonl").read_text().splitlines()) == 2
    browser.open(report, width=1280)
    browser.evaluate("new Promise(done => setTimeout(done, 2000))")
    assert outside(browser) == []
    text = browser.evaluate("document.body.innerText")
    assert "NOT READY: embedded-7f3a" in text
    assert "rbac.no-wildcard-roles" in text


def test_the_tracker_is_taken_out_and_an_unknown_form_of_it_is_refused() -> None:
    tag = '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>\n<script>gtag("config")</script>\n'

    assert without_tracker(f"<body>{tag}<p>kept</p></body>") == "<body><p>kept</p></body>"
    with pytest.raises(ValueError, match="analytics"):
        without_tracker('<script defer src="https://www.googletagmanager.com/gtag/js"></script>')


def test_without_node_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []

    sample.make(tmp_path / "bundle", sample.good_records(), allure_html=True, say=said.append, seal=False)

    assert len(said) == 1
    assert said[0].startswith("no Allure HTML: node and npm not found")
    assert (tmp_path / "bundle" / "allure-results" / "executor.json").is_file()


@pytest.mark.parametrize(
    ("script", "words"),
    [("sleep 60", "took longer than 1 s"), ("echo 'ECONNREFUSED: no line'; exit 1", "failed: ECONNREFUSED: no line")],
)
def test_an_install_that_hangs_or_fails_never_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("npm", "node"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(allure_html, "INSTALL_DEADLINE_S", 1.0)
    said: list[str] = []

    sample.make(tmp_path / "bundle", sample.good_records(), allure_html=True, say=said.append, seal=False)

    assert words in said[-1]
    assert not allure_html.cache_folder().exists()


def test_the_lock_file_pins_every_package_and_names_no_server() -> None:
    text = (allure_html.PACKAGE / "package-lock.json").read_text()

    assert "://" not in text
    assert text.count('"integrity": "sha512-') == text.count('"node_modules/')
