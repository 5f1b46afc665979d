"""`python -m chaos`: what the experiments would do, and cleaning up after killed runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from chaos.experiment import UnknownExperimentError, load, names
from fixtures.clusters.embedded.errors import EmbeddedClusterError
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.clusters.embedded.launch import all_clusters
from fixtures.clusters.embedded.layout import clusters_home
from fixtures.clusters.kind.state import records

DESCRIPTION = """\
Chaos experiments on the control plane of an embedded cluster, and cleaning up after every kind of run.

To run them, use pytest: they are run and judged with `pytest chaos`, on a cluster of the run's own.
"""

EPILOG = """\
examples:
  python -m chaos plan                              what every experiment would do; reads only
  python -m chaos plan etcd-leader-loss             one of them
  python -m chaos cleanup                           undo what killed runs left on the clusters of this machine
  python -m chaos cleanup --kubeconfig FILE         undo what killed runs of this machine left on a live cluster
  touch "$STATE/chaos/stop"                         stop a running experiment; STATE is the cluster's state folder

exit codes: 0 done, or nothing to do; 1 something could not be undone; 2 wrong use
"""


class UsageError(Exception):
    """Wrong use; the message says what is wrong and what to do."""


def main(arguments: list[str]) -> int:
    """Run a command and answer its exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        return _plan(parsed) if parsed.command == "plan" else _cleanup(parsed)
    except (UsageError, UnknownExperimentError, EmbeddedClusterError) as error:
        print(f"python -m chaos: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m chaos", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    plan = commands.add_parser(
        "plan", help="say what would be done: fault, blast radius, abort, undo, bound; reads only"
    )
    plan.add_argument("experiment", nargs="*", metavar="EXPERIMENT", help=f"one of {', '.join(names())} (default: all)")
    cleanup = commands.add_parser("cleanup", help="undo what killed runs left behind; can be run again at any time")
    cleanup.add_argument("--kubeconfig", type=Path, metavar="FILE", help="clean up the live cluster of this kubeconfig")
    cleanup.add_argument("--context", metavar="NAME", help="its context (default: the current one)")
    for command in (plan, cleanup):
        command.add_argument(
            "--name", metavar="NAME", help="an embedded cluster, as `python -m fixtures.clusters status` lists them"
        )
    return parser


def _plan(parsed: argparse.Namespace) -> int:
    from chaos.plan import describe

    plans = [load(name) for name in parsed.experiment or names()]
    running = _states(parsed.name)
    if len(running) > 1:
        known = ", ".join(state.name for state in running)
        raise UsageError(f"several embedded clusters are up ({known}): choose one with --name")
    cluster = EmbeddedCluster.load(running[0]) if running else None
    _say("\n\n".join(describe(plan, cluster) for plan in plans))
    return 0


def _cleanup(parsed: argparse.Namespace) -> int:
    from chaos.cleanup import clean

    if parsed.kubeconfig or parsed.context:
        return 0 if _swept(parsed.kubeconfig, parsed.context) else 1
    states = _states(parsed.name)
    kept = [] if parsed.name else [record.kubeconfig for record in records()[0] if record.kubeconfig.exists()]
    if not states and not kept:
        _say("no embedded or kind cluster of ours is up; for another one, pass --kubeconfig FILE")
    cleaned = [clean(state, _say) for state in states]
    cleaned += [_swept(kubeconfig, None) for kubeconfig in (*(state / "kubeconfig" for state in states), *kept)]
    return 0 if all(cleaned) else 1


def _swept(kubeconfig: Path | None, context: str | None) -> bool:
    from fixtures.api import Api, ApiError
    from fixtures.clusters import ClusterError
    from fixtures.clusters.live import open_live
    from fixtures.lab.leftovers import sweep

    try:
        cluster = open_live(kubeconfig, context)
        if clean := sweep(Api.connect(cluster.kubeconfig, cluster.context), _say):
            _say(f"{cluster.id}: no run has left anything in a lab")
    except (ClusterError, ApiError) as error:
        _say(f"not cleaned up: {error}")
        return False
    return clean


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read it has read enough; the work goes on, and what it says goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _states(name: str | None) -> list[Path]:
    if name:
        known = [state.name for state in all_clusters()[0]]
        if name not in known:
            raise UsageError(f"there is no embedded cluster {name!r}; known: {', '.join(known) or 'none'}")
        return [clusters_home() / name]
    return [
        clusters_home() / state.name
        for state in all_clusters()[0]
        if state.phase == "ready" and state.supervisor.running
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
