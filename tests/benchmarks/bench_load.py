"""What the open-loop generator measures, against vegeta (an independent load tester) on the same server in the same run.

    python -m tests.benchmarks.bench_load [--rate 100] [--seconds 10] [--rounds 3] [--vegeta PATH]

Two servers are asked in turn by both: a real API server (an embedded cluster of one member; GET of one Service), and a
stub that stands still for two seconds. Prints p50, p95 and p99 of each and their ratios. vegeta counts from the real
start of a request, the generator from the intended one; on a busy machine the difference is the lag, which is printed
beside it: above load.send-lag a run of the suite is inconclusive, and so is this comparison (exit code 3). Exits with 1
when the median p95 of the generator is not within the factor RATIO of vegeta's, with 2 without vegeta, which builds from
its Go module: `go install github.com/tsenart/vegeta/v12@v12.12.0`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixtures.api_connect import open_link
from fixtures.clusters.embedded.handle import start
from fixtures.clusters.embedded.progress import Progress
from fixtures.limits import LOAD_SEND_LAG
from load.mix import READ_BASELINE, target
from load.percentiles import nearest_rank
from load.runner import run
from load.scenario import Row, Scenario, Target
from tests.load.stub_server import stub

RATIO = 1.5
"""The largest ratio of the two p95 (either way) that still counts as the same measurement."""
QUANTILES = (0.5, 0.95, 0.99)
SERVICE = "/api/v1/namespaces/default/services/kubernetes?resourceVersion=0"


@dataclass(frozen=True)
class Load:
    """What both tools send: requests a second, seconds."""

    rate: float
    seconds: float


def ours(to: Target, load: Load, folder: Path, seed: int) -> list[float]:
    """p50, p95 and p99 in milliseconds by the suite's generator, and the p95 of how late it was itself."""
    row = Row("GET", "services", "resource", "cache", SERVICE, "Service", 1)
    scenario = Scenario("bench", READ_BASELINE, (row,))
    result = run(scenario, to, folder, rate=load.rate, seconds=load.seconds, seed=seed, warm_up=2.0)
    latencies = sorted(sample.latency for sample in result.measured if sample.ok)
    if not result.whole or len(latencies) != result.intended:
        raise SystemExit(f"{result.intended - len(latencies)} requests failed; {result.trouble}")
    lags = sorted(sample.lag for sample in result.measured)
    found = [latencies[nearest_rank(len(latencies), quantile) - 1] for quantile in QUANTILES]
    return [seconds * 1000 for seconds in (*found, lags[nearest_rank(len(lags), 0.95) - 1])]


def vegetas(vegeta: str, to: Target, load: Load, folder: Path) -> list[float]:
    """The same three by vegeta, with HTTP/1.1 and a connection kept alive, as the generator has it."""
    targets, results = folder / "targets", folder / "results"
    targets.write_text(f"GET {to.servers[0]}{SERVICE}\n")
    command = [vegeta, "attack", f"-rate={load.rate:g}/1s", f"-duration={load.seconds:g}s", f"-targets={targets}"]
    command += [f"-output={results}", "-http2=false", "-timeout=35s"]
    command += [f"-root-certs={to.ca}"] if to.ca else []
    command += [f"-cert={to.certificate}", f"-key={to.key}"] if to.certificate else []
    # A credential on a command line is seen by every user of the machine, so only certificates are taken.
    if to.token:
        raise SystemExit("the benchmark needs a kubeconfig with a client certificate, not a token")
    subprocess.run(command, check=True, timeout=load.seconds + 120)
    report = subprocess.run(
        [vegeta, "report", "-type=json", str(results)], check=True, timeout=60, capture_output=True, text=True
    )
    found = json.loads(report.stdout)
    if found["success"] != 1:
        raise SystemExit(f"vegeta: requests failed: {found['status_codes']} {found['errors']}")
    return [found["latencies"][name] / 1e6 for name in ("50th", "95th", "99th")]


@contextmanager
def api_server() -> Iterator[Target]:
    """One real API server."""
    cluster = start(members=1, progress=Progress(sys.stderr))
    try:
        yield target(open_link(cluster.kubeconfig, None, None))
    finally:
        cluster.stop()


@contextmanager
def stalled() -> Iterator[Target]:
    """A server of Python that stands still from second 4 to 6 after its first request."""
    with stub() as server:
        server.stall = (4.0, 6.0)
        yield Target((server.url,))


def compare(vegeta: str, load: Load, rounds: int, folder: Path) -> int:
    """Ask both servers by both tools in turn and print the table."""
    rows: dict[str, tuple[list[list[float]], list[list[float]]]] = {}
    with api_server() as to:
        mine, theirs = rows.setdefault("API server, GET of a Service", ([], []))
        for number in range(rounds):
            mine.append(ours(to, load, folder, number))
            theirs.append(vegetas(vegeta, to, load, folder))
    mine, theirs = rows.setdefault("stub that stands still for 2 s", ([], []))
    for number in range(rounds):
        with stalled() as to:
            mine.append(ours(to, load, folder, number))
        with stalled() as to:
            theirs.append(vegetas(vegeta, to, load, folder))
    print(
        f"{load.rate:g} requests/s for {load.seconds:g} s, {rounds} rounds in turn, medians in ms (generator / vegeta)\n"
    )
    print("| server | p50 | p95 | p99 | ratio of p95, each round | own lag, p95 |\n|---|---|---|---|---|---|")
    worst, lag = 1.0, 0.0
    for name, (mine, theirs) in rows.items():
        cells = [f"{median(mine, place):.2f} / {median(theirs, place):.2f}" for place in range(len(QUANTILES))]
        ratios = ", ".join(f"{one[1] / other[1]:.2f}" for one, other in zip(mine, theirs, strict=True))
        late = median(mine, len(QUANTILES))
        print(f"| {name} | {' | '.join(cells)} | {ratios} | {late:.2f} |")
        ratio = median(mine, 1) / median(theirs, 1)
        worst, lag = max(worst, ratio, 1 / ratio), max(lag, late)
    print(f"\nlargest ratio of the median p95, either way: {worst:.2f} (target {RATIO:g})")
    if lag > LOAD_SEND_LAG.value * 1000:
        print(
            f"void: the generator was {lag:.0f} ms late, above {LOAD_SEND_LAG.value * 1000:g}; the machine is too busy"
        )
        return 3
    return int(worst > RATIO)


def median(rounds: list[list[float]], place: int) -> float:
    """The median over the rounds of one of the three percentiles."""
    return statistics.median(one[place] for one in rounds)


def main() -> int:
    """Read the command line and run the comparison."""
    parser = argparse.ArgumentParser(description="The open-loop generator against vegeta.")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (default: 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one measurement (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often both are asked in turn (default: 3)")
    parser.add_argument("--vegeta", default=shutil.which("vegeta"), help="the program (default: as found in PATH)")
    given = parser.parse_args()
    if not given.vegeta:
        print(
            "skipped: vegeta is not here. go install github.com/tsenart/vegeta/v12@v12.12.0, or name it: --vegeta PATH"
        )
        return 2
    with tempfile.TemporaryDirectory() as folder:
        return compare(given.vegeta, Load(given.rate, given.seconds), given.rounds, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
