"""What the checks of Linux fields share."""

from __future__ import annotations

from collections import defaultdict

from fixtures.readiness import Findings
from fixtures.subjects import Container, Workload


def only_on_linux(workload: Workload, findings: Findings) -> None:
    """End the check for pods that declare Windows, where the API server refuses the fields of Linux."""
    if workload.windows:
        findings.not_applicable("spec.os.name is windows, where this field does not exist")


def observed_uids(workload: Workload) -> dict[str, set[int]]:
    """The UIDs of running containers by container name, where the kubelet reports them (status.user, since v1.33)."""
    uids: dict[str, set[int]] = defaultdict(set)
    for pod in workload.pods:
        if pod.ended:
            continue
        for status in (*(pod.status.get("containerStatuses") or ()), *(pod.status.get("initContainerStatuses") or ())):
            uid = ((status.get("user") or {}).get("linux") or {}).get("uid")
            if uid is not None:
                uids[str(status.get("name"))].add(int(uid))
    return uids


def expect_uid(workload: Workload, findings: Findings, wanted: int) -> None:
    """Expect every container to run as one UID; where only the image decides, and no kubelet reports, not assessed."""
    only_on_linux(workload, findings)
    reported = observed_uids(workload)
    unknown: list[Container] = []
    for container in workload.containers:
        if container.run_as_user is not None:
            findings.expect(
                container.run_as_user == wanted,
                container,
                expected=f"runAsUser: {wanted}",
                observed=container.run_as_user,
            )
        elif reported.get(container.name):
            uids = reported[container.name]
            findings.expect(uids == {wanted}, container, expected=f"UID {wanted} at run time", observed=uids)
        else:
            unknown.append(container)
    if unknown:
        names = ", ".join(container.name for container in unknown)
        findings.not_assessed(
            f"the image decides the UID of {names}: runAsUser is not set and no kubelet reports a UID"
        )
