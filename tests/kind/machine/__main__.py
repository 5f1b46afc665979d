"""The command line of the machine: `python -m tests.kind.machine up | down | status`."""

from __future__ import annotations

import argparse
import shlex
import sys

from fixtures.clusters import ClusterError
from fixtures.clusters.embedded.progress import Progress
from tests.kind.machine import machine
from tests.kind.machine.daemon import Daemon

_FAILED, _INTERRUPTED = 1, 130
_EPILOG = """\
  eval "$(python -m tests.kind.machine up)"
  pytest suites --cluster kind --kind-image "$KUBEWORTHY_KIND_IMAGE"
  python -m tests.kind.machine down

exit codes: 0 done (status: it is up), 1 not done (status: it is down), 2 wrong usage, 130 interrupted
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kind.machine",
        description="Docker, kind and a node image for a Debian machine that reaches no image registry; needs root.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("up", "down", "status"))
    return parser


def _run(command: str) -> int:
    if command == "up":
        up = machine.up(Progress(sys.stderr))
        print(f"export DOCKER_HOST={shlex.quote(up.host)}")
        print(f"export PATH={shlex.quote(str(up.programs))}:$PATH")
        print(f"export KUBEWORTHY_KIND_IMAGE={shlex.quote(up.image)}")
    elif command == "down":
        print("the machine is down, as it was before" if machine.down() else "the machine was not up")
    else:
        daemon = Daemon()
        print(f"up: DOCKER_HOST={daemon.host}" if daemon.running else "down")
        return 0 if daemon.running else _FAILED
    return 0


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = _parser().parse_args()
    try:
        return _run(arguments.command)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("interrupted: what is complete is kept, `down` ends what was started", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
