"""Whether a container's confinement holds while it runs, as the container itself sees it."""

from __future__ import annotations

from typing import Any

from fixtures.lab import Workbench, objects
from fixtures.readiness import Findings, readiness
from fixtures.subjects import WholeCluster

_USER, _GROUP, _PORTS = 12345, 12346, "NET_BIND_SERVICE"
_SETS = ("permitted", "effective", "inheritable", "bounding", "ambient")


@readiness(
    "pod-security.confinement-in-force",
    severity="critical",
    needs=("pods",),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec"),
)
def test_confinement_is_in_force(cluster: WholeCluster, findings: Findings, lab: Workbench) -> None:
    """What a pod's security context asks for holds in the running container.

    Why: Every other check reads what was asked for. A runtime that ignores it, or something that changes pods on their way,
        leaves a cluster open that looks hardened.
    How: A process in a pod that keeps to the restricted standard tells what the kernel says of it: user and group, all five
        capability sets, seccomp, no_new_privs, whether /tmp of its image can be written to, and whether a ServiceAccount's
        token is mounted. A second pod, which asks for another user, one capability, a writable root and a token, has to
        show those, so that the answers are known to depend on what was asked for.
    Fix: Find what changed the pod (kubectl get pod -o yaml against what was sent), or repair the container runtime.
    Does not prove: That nothing escapes from the container, nor which system calls the seccomp profile forbids.
    """
    with lab.place("confined", standard="") as place:
        place.create("pods", objects.pod("confined", place.spec()))
        if refusal := place.attempt("pods", objects.pod("looser", _looser(place.spec()))):
            findings.not_assessed(f"the pod to compare with is refused: {refusal.message}")
        confined, looser = (_known(probe.facts("/tmp"), findings) for probe in place.ready("confined", "looser"))
    if _told(looser) != _told_of_looser():
        findings.inconclusive(f"the pod to compare with shows {_told(looser)} and not what it asked for")
    for what, expected in _told_of_confined().items():
        findings.expect(_told(confined)[what] == expected, what, expected=str(expected), observed=_told(confined)[what])
    findings.expect(confined["seccomp"] == "filter", "seccomp", expected="filter", observed=confined["seccomp"])
    findings.expect(
        confined["no_new_privs"] is True, "no_new_privs", expected="true", observed=confined["no_new_privs"]
    )


def _looser(spec: dict[str, Any]) -> dict[str, Any]:
    spec["automountServiceAccountToken"] = True
    spec["securityContext"] |= {"runAsUser": _USER, "runAsGroup": _GROUP}
    security = spec["containers"][0]["securityContext"]
    security |= {"readOnlyRootFilesystem": False, "capabilities": {"drop": ["ALL"], "add": [_PORTS]}}
    return spec


def _known(facts: dict[str, Any], findings: Findings) -> dict[str, Any]:
    unknown = [key for key in ("seccomp", "no_new_privs", "token") if facts[key] is None]
    unknown += [key for key in _SETS if key not in facts["capabilities"]]
    if unknown:
        findings.inconclusive(f"the kernel does not tell {', '.join(unknown)}")
    return facts


def _told(facts: dict[str, Any]) -> dict[str, str]:
    root = facts["writable"]["/tmp"]
    return {
        "user and group": f"{facts['uid']}:{facts['gid']}",
        "capabilities": ", ".join(sorted({one for names in facts["capabilities"].values() for one in names})) or "none",
        "root file system": "writable" if root["writable"] else root["class"],
        "ServiceAccount's token": "mounted" if facts["token"] else "none",
    }


def _told_of_confined() -> dict[str, str]:
    return _expected(f"{objects.NOBODY}:{objects.NOBODY}", "none", "read-only", "none")


def _told_of_looser() -> dict[str, str]:
    return _expected(f"{_USER}:{_GROUP}", _PORTS, "writable", "mounted")


def _expected(user: str, capabilities: str, root: str, token: str) -> dict[str, str]:
    keys = ("user and group", "capabilities", "root file system", "ServiceAccount's token")
    return dict(zip(keys, (user, capabilities, root, token), strict=True))
