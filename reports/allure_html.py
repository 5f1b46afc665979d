"""Allure's HTML, made with Allure 3 where Node and npm are at hand; without them, or too late, a line says so instead."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reports.allure_results import CATEGORIES, STATUSES
from reports.view import View

PACKAGE = Path(__file__).parent / "allure3"
INSTALL_DEADLINE_S = 240.0
"""Seconds for installing Allure once; it takes 10 s with a good line (ours)."""
GENERATE_DEADLINE_S = 180.0
"""Seconds for making the HTML; 5,000 results with steps take 5 to 9 s (ours)."""
SINGLE_FILE_RESULTS = 5000
"""Up to so many results the HTML is one file that opens from disk (35 MB at the most); above, a browser chokes on it."""
HISTORY_RUNS = 30
"""Runs that the trends show; one line of 0.8 KB for each result and run is kept outside of the bundle (ours)."""

ANALYTICS = re.compile(
    r'<script async src="https://www\.googletagmanager\.com/[^"]*"></script>\s*<script>.*?</script>\s*', re.DOTALL
)
TRACKER = "googletagmanager.com"

Say = Callable[[str], None]


class _Unavailable(Exception):
    """Why there is no HTML, in words for the user."""


def write(view: View, results: Path, out: Path, say: Say, *, extend_history: bool = True) -> bool:
    """Make the HTML at `out` from the results, and return whether there is one.

    The history of the cluster (one file for each cluster in the user's state folder) gives the trends; with
    `extend_history` this run is added to it. A copy lies beside the HTML. Nothing here may fail a run: whatever goes
    wrong is told to `say` in one line, and the results remain.
    """
    try:
        program = _program(say)
        with tempfile.TemporaryDirectory(prefix="kubeworthy-allure-") as scratch:
            _generate(program, view, results, Path(scratch), extend_history)
            _move(Path(scratch), out)
    except (_Unavailable, OSError) as error:
        say(f"no Allure HTML: {error}; the results are in {results}")
        shutil.rmtree(out, ignore_errors=True)
        return False
    if len(view.groups) > SINGLE_FILE_RESULTS:
        say(f"Allure's HTML has many files and needs a web server: python3 -m http.server --directory {out}")
    return True


def cache_folder() -> Path:
    """Where Allure is installed, once for each version."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    version = json.loads((PACKAGE / "package.json").read_text())["dependencies"]["allure"]
    return Path(base) / "kubeworthy" / f"allure-{version}"


def history_file(view: View) -> Path:
    """Where the history of the view's clusters is kept."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "+".join(sorted(view.run.cluster_ids)))[:120]
    return Path(base) / "kubeworthy" / "allure-history" / f"{name}.jsonl"


def without_tracker(html: str) -> str:
    """The HTML without Allure's analytics tag. Raises ValueError if a tag is left that is spelt in another way."""
    stripped = ANALYTICS.sub("", html)
    if f'src="https://www.{TRACKER}' in stripped:
        raise ValueError("an analytics tag could not be taken out")
    return stripped


def _program(say: Say) -> Path:
    """Allure's program, installed if need be."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        raise _Unavailable(f"{' and '.join(missing)} not found (Node 20 or newer makes it)")
    folder = cache_folder()
    program = folder / "node_modules" / "allure" / "cli.js"
    if program.is_file():
        return program
    say(f"installing Allure 3 once, into {folder} (about 55 MB) ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGE / name, scratch)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(command, Path(scratch), INSTALL_DEADLINE_S, "installing Allure")
        try:
            Path(scratch).rename(folder)
        except OSError:
            # another run was faster; its copy is as good, and a half-written one cannot be there
            if not program.is_file():
                raise
    return program


def _generate(program: Path, view: View, results: Path, scratch: Path, extend_history: bool) -> None:
    history, kept = scratch / "history.jsonl", history_file(view)
    if kept.is_file():
        shutil.copy(kept, history)
    (scratch / "allurerc.json").write_text(json.dumps(_configuration(view, history)))
    command = ["node", str(program), "generate", "--config", "allurerc.json", str(results.resolve())]
    _run(command, scratch, GENERATE_DEADLINE_S, "making the HTML")
    index = scratch / "html" / "index.html"
    if not index.is_file():
        raise _Unavailable("Allure made no index.html")
    try:
        index.write_text(without_tracker(index.read_text()))
    except ValueError as error:
        raise _Unavailable(str(error)) from error
    if extend_history and history.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}.tmp")
        shutil.copy(history, draft)
        draft.replace(kept)


def _configuration(view: View, history: Path) -> dict[str, Any]:
    name = f"{view.decision.verdict}: {', '.join(view.run.cluster_ids)}"
    rules = [
        {"name": title, "matchers": {"statuses": [STATUSES[verdict]], "message": f"^{verdict}: "}}
        for verdict, title in CATEGORIES.items()
    ]
    options = {
        "reportName": name,
        "singleFile": len(view.groups) <= SINGLE_FILE_RESULTS,
        "reportLanguage": "en",
        "groupBy": ["epic", "feature", "story"],
    }
    return {
        "name": name,
        "output": "html",
        "historyPath": str(history),
        "historyLimit": HISTORY_RUNS,
        "categories": {"rules": rules},
        "plugins": {"awesome": {"options": options}},
    }


def _move(scratch: Path, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(scratch / "html", out)
    if (scratch / "history.jsonl").is_file():
        shutil.copy(scratch / "history.jsonl", out / "history.jsonl")


def _run(command: list[str], folder: Path, deadline: float, doing: str) -> None:
    """Run a program to its end, or end it and all that it started."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        raise _Unavailable(f"{doing} took longer than {deadline:.0f} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        said = [line for line in output.splitlines() if line.strip()]
        raise _Unavailable(f"{doing} failed: {said[-1].strip() if said else f'exit code {process.returncode}'}")


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    return {**given, "NO_COLOR": "1", "ALLURE_NO_ANALYTICS": "1", "NO_UPDATE_NOTIFIER": "1"}
