"""The reference platform on real nodes: the run that `make ready-kind` starts ends READY."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reports.words import ExitCode
from tests.kind.machine.machine import Machine

ROOT = Path(__file__).parents[2]
RUN_DEADLINE = 1500

pytestmark = pytest.mark.kind


def test_the_platform_is_ready_where_it_runs(machine: Machine, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    command = [sys.executable, "-m", "pytest", "suites", "--cluster", "kind", "--kind-image", machine.image]
    command += ["--bundle", str(bundle), "--no-allure-html"]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_DEADLINE, check=False)

    assert ended.returncode == ExitCode.READY, ended.stdout[-4000:] + ended.stderr[-1000:]
    outcomes = json.loads((bundle / "verdict.json").read_text())["outcomes"]
    assert outcomes["storage.storage-classes"] == "pass"
    assert outcomes["network-policy.default-deny-enforced"] == "pass"
