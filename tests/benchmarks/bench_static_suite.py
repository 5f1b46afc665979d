"""What judging a big cluster costs, against merely listing and parsing the same objects in the same run.

    python -m tests.benchmarks.bench_static_suite [--pods 5000] [--runs 3]

Starts an embedded cluster, fills it with Deployments of five pods each in 50 namespaces (simulated by kwok), and then runs in turn,
as whole processes: the floor (a paginated LIST of every kind that the suite reads, `json.loads`, objects thrown away) and the static
suite, Allure results included. Prints wall time, peak memory and requests of each, and their ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fixtures.api import METADATA_LIST, Api
from fixtures.clusters.embedded.handle import start
from fixtures.clusters.embedded.progress import Progress
from fixtures.inventory import KINDS
from tests.proofs.builders import deployment

ROOT = Path(__file__).parents[2]
NAMESPACES = 50
REPLICAS = 5
PODS_PER_NODE = 85
"""A node takes 110 pods at most, and the scheduler spreads unevenly."""
DEADLINE = 600.0
WALL_RATIO, MEMORY = 6.0, 250.0
"""The targets: at most six times the floor's wall time, at most 250 MB."""


@dataclass
class Cost:
    """One finished process: wall seconds and peak resident megabytes."""

    wall: float
    memory: float


def fill(api: Api, pods: int) -> None:
    """Create the Deployments and wait until every pod runs."""
    names = [f"team-{number}" for number in range(NAMESPACES)]
    for name in names:
        api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    plan = [(names[number % NAMESPACES], f"app-{number}") for number in range(pods // REPLICAS)]

    def one(place: tuple[str, str]) -> None:
        namespace, name = place
        api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment(name, replicas=REPLICAS))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(one, plan))
    deadline = time.monotonic() + DEADLINE
    while True:
        pages = api.pages("/api/v1/pods", {"fieldSelector": "status.phase=Running"}, 500)
        running = sum(len(page["items"]) for page in pages)
        print(f"\r{running} of {pods} pods run", end="", file=sys.stderr, flush=True)
        if running >= pods:
            print(file=sys.stderr)
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"only {running} of {pods} pods run after {DEADLINE:.0f} s")
        time.sleep(1)


def floor(kubeconfig: Path, kinds: list[str]) -> None:
    """List and parse every kind, page by page, and keep nothing; print how many requests that took."""
    api = Api.connect(kubeconfig)
    for name in kinds:
        kind = KINDS[name]
        accept = METADATA_LIST if kind.metadata_only else "application/json"
        query: dict[str, str | int | bool] = {"limit": 500}
        while True:
            page = json.loads(api.raw("GET", kind.path(kind.versions[0]), query, accept=accept))
            token = page["metadata"].get("continue")
            if not token:
                break
            query["continue"] = token
    print(api.requests)


def measured(command: list[str], cache: Path) -> tuple[Cost, str]:
    """Run a command to its end; its cost as the operating system accounts for it, and what it printed.

    `cache` is where Python keeps its bytecode, as an installation has it whatever this environment says about that.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if process.returncode not in (0, 1, 6):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Cost(wall, usage.ru_maxrss / 1024), said


def suite(kubeconfig: Path, bundle: Path) -> Cost:
    """The static suite on the cluster, with every report but Allure's HTML."""
    options = ["--cluster", "live", "--kubeconfig", str(kubeconfig), "--bundle", str(bundle), "--no-allure-html", "-q"]
    options += ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # the latter comes with no installation
    cost, _ = measured([sys.executable, "-m", "pytest", "suites", "--tb=no", *options], bundle.parent / "cache")
    return cost


def main() -> int:
    """Run the benchmark; the exit code is 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--floor", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.floor:
        floor(Path(given.floor[0]), given.floor[1:])
        return 0
    cluster = start(nodes=-(-given.pods // PODS_PER_NODE), progress=Progress(sys.stderr))
    try:
        fill(Api.connect(cluster.kubeconfig), given.pods)
        with tempfile.TemporaryDirectory() as folder:
            return compare(cluster.kubeconfig, Path(folder), given.runs)
    finally:
        cluster.stop()


def compare(kubeconfig: Path, folder: Path, runs: int) -> int:
    """Run floor and suite in turn and print the table."""
    suite(kubeconfig, folder / "warm")
    receipts = json.loads((folder / "warm" / "run.json").read_text())["inventory"]
    read = [one for one in receipts if one["pages"]]
    command = [sys.executable, "-m", "tests.benchmarks.bench_static_suite", "--floor", str(kubeconfig)]
    command += [one["kind"] for one in read]
    floors, suites, requests = [], [], 0
    for number in range(runs):
        cost, said = measured(command, folder / "cache")
        floors.append(cost)
        requests = int(said.strip().splitlines()[-1])
        suites.append(suite(kubeconfig, folder / f"run-{number}"))
    records = (folder / "run-0" / "records.jsonl").read_text().count("\n")
    pages = sum(one["pages"] for one in read)
    objects = sum(one["count"] for one in read)
    ratio = statistics.median(s.wall for s in suites) / statistics.median(f.wall for f in floors)
    memory = max(s.memory for s in suites)
    print(f"{objects} objects of {len(read)} kinds, {records} records, {runs} runs in turn\n")
    print("| | wall, s (min / median / max) | peak memory, MB | LIST requests |\n|---|---|---|---|")
    print(f"| LIST and json.loads (the floor) | {spread(floors)} | {max(f.memory for f in floors):.0f} | {requests} |")
    print(f"| static suite, Allure results included | {spread(suites)} | {memory:.0f} | {pages} |")
    print(f"| ratio of the medians (target {WALL_RATIO:g}) | {ratio:.1f} | | {pages / requests:.2f} |")
    return int(ratio > WALL_RATIO or memory > MEMORY or pages > requests)


def spread(costs: list[Cost]) -> str:
    """Minimum, median and maximum of the wall times."""
    walls = sorted(cost.wall for cost in costs)
    return f"{walls[0]:.2f} / {statistics.median(walls):.2f} / {walls[-1]:.2f}"


if __name__ == "__main__":
    sys.exit(main())
