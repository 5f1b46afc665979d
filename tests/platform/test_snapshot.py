"""The manifests of the good platform without a server: what needs one is not assessed, and nothing errs or fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fixtures import platform
from fixtures.platform import manifests
from reports.words import ExitCode

ROOT = Path(__file__).parents[2]


def test_a_snapshot_of_the_good_platform_leaves_only_what_needs_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "suites", "load", "chaos", "--cluster", "snapshot", "--no-allure-html"]
    command += ["--manifests", str(manifests.HERE / "good"), "--policy", str(platform.POLICY)]

    ended = subprocess.run(
        [*command, "--bundle", str(tmp_path / "b")], cwd=ROOT, capture_output=True, text=True, check=False
    )

    counts = json.loads((tmp_path / "b" / "verdict.json").read_text())["counts"]["properties"]
    assert (counts["error"], counts["fail"]) == (0, 0), ended.stdout[-3000:]
    assert counts["pass"] > 25
    assert ended.returncode == ExitCode.INCOMPLETE
