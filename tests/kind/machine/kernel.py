"""What a Docker daemon and six nodes change about the machine's kernel, and putting it back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fixtures.limits import KIND_MACHINE_INOTIFY, KIND_MACHINE_WATCHES
from tests.kind.machine.commands import run

_RAISED = {
    "fs/inotify/max_user_instances": int(KIND_MACHINE_INOTIFY.value),
    "fs/inotify/max_user_watches": int(KIND_MACHINE_WATCHES.value),
}
# What the Docker daemon switches on for its bridges.
_TOUCHED = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding")
_TABLES = ("filter", "nat", "mangle", "raw")
_PROC = Path("/proc/sys")


@dataclass(frozen=True, slots=True)
class Kernel:
    """Settings as they were: `sysctls` by path below /proc/sys, `rules` by `iptables <table>`, as iptables-save prints them."""

    sysctls: dict[str, str]
    rules: dict[str, list[str]]

    @classmethod
    def now(cls) -> Kernel:
        """The settings as they are."""
        paths = [path for path in (*_RAISED, *_TOUCHED) if (_PROC / path).exists()]
        return cls({path: (_PROC / path).read_text().strip() for path in paths}, _rules())

    def raise_limits(self) -> None:
        """Give six nodes the inotify instances and watches they need; what is higher already stays."""
        for path, wanted in _RAISED.items():
            if int(self.sysctls[path]) < wanted:
                (_PROC / path).write_text(f"{wanted}\n")

    def restore(self) -> None:
        """Put the settings back, and take Docker's own chains out; rules that others have added since stay."""
        for path, value in self.sysctls.items():
            if (_PROC / path).read_text().strip() != value:
                (_PROC / path).write_text(f"{value}\n")
        for name, lines in _rules().items():
            _restore_table(name, lines, self.rules.get(name, []))


def _rules() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for family in ("iptables", "ip6tables"):
        if shutil.which(f"{family}-save") is None:
            continue
        for line in run([f"{family}-save"]).splitlines():
            if line.startswith("*"):
                table = f"{family} {line[1:]}"
                found[table] = []
            elif line.startswith((":", "-A")):
                # Without the counters, which change all the time.
                found[table].append(line.partition(" [")[0] if line.startswith(":") else line)
    return found


def _restore_table(name: str, lines: list[str], before: list[str]) -> None:
    family, table = name.split()
    base = [family, "-w", "-t", table]
    ours = [line for line in lines if line not in before and ("DOCKER" in line or " br-" in line or "docker0" in line)]
    for line in ours:
        if line.startswith("-A"):
            run([*base, "-D", *line.split()[1:]])
    chains = [line[1:].split()[0] for line in ours if line.startswith(":DOCKER")]
    for action in ("-F", "-X"):
        for chain in chains:
            run([*base, action, chain])
    for line in lines:
        chain, _, policy = line[1:].partition(" ")
        if line.startswith(":FORWARD") and line not in before and policy == "DROP":
            run([*base, "-P", chain, "ACCEPT"])
