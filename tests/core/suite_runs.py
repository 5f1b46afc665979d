"""Runs the suite as a user does, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE = 240
"""Seconds that one run may take on a busy machine."""

GOOD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 10001}
      containers:
        - name: main
          image: registry.example/web:1.2.3
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"""
BAD = GOOD.replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true").replace(
    "name: web,", "name: bad,"
)


@dataclass
class Outcome:
    """How a run ended: exit code, what it printed, and its bundle (which may be absent)."""

    code: int
    said: str
    bundle: Path

    def verdict(self) -> Any:
        return json.loads((self.bundle / "verdict.json").read_text())

    def records(self, property_id: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.bundle / "records.jsonl").read_text().splitlines()]
        return [line for line in lines if line["property"] == property_id]


def run_suite(folder: Path, *arguments: str, paths: tuple[str, ...] = ("suites",), **more: Any) -> Outcome:
    """`pytest suites ARGUMENTS --bundle FOLDER/bundle`, from the root of the project."""
    bundle = folder / "bundle"
    command = [sys.executable, "-m", "pytest", *paths, "-p", "no:cacheprovider", "--no-allure-html", *arguments]
    if "--bundle" not in arguments:
        command += ["--bundle", str(bundle)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False, **more)
    return Outcome(done.returncode, done.stdout + done.stderr, bundle)


def snapshot(folder: Path, *manifests: str, policy: str = "") -> list[str]:
    """The options for a snapshot of these manifests, with a policy file of this text where there is one."""
    place = folder / "manifests"
    place.mkdir(exist_ok=True)
    for number, text in enumerate(manifests):
        (place / f"{number}.yaml").write_text(text)
    options = ["--cluster", "snapshot", "--manifests", str(place)]
    if policy:
        (folder / "readiness.yaml").write_text(policy)
        options += ["--policy", str(folder / "readiness.yaml")]
    return options
