"""Planted defects and near misses of the area pod-security: privileges, capabilities, users."""

from __future__ import annotations

from collections.abc import Callable

from fixtures.api import Api
from reports.words import Verdict
from tests.proofs.builders import (
    bare_pod,
    container,
    cron_job,
    daemon_set,
    deployment,
    idle,
    merge,
    stateful_set,
)
from tests.proofs.case import Case, Raw, defect, near_miss

WEB = "Deployment {ns}/web"
AGENT = "DaemonSet {ns}/agent"
LINUX_ONLY = ("allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities")

PLAIN = container(name="plain", securityContext=None)
"""A container that says nothing about security."""

OPERATOR = {"subjects": {"operator": {"namespace": "{ns}", "name": "web"}}}


def windows(**options: object) -> Raw:
    """A Deployment whose pods declare Windows; `options` are the pod's windowsOptions."""
    security = {"runAsUser": None, "fsGroup": None, "seccompProfile": None, "windowsOptions": options or None}
    bare = container(securityContext=dict.fromkeys(LINUX_ONLY))
    return deployment("web", bare, replicas=0, pod={"os": {"name": "windows"}, "securityContext": security})


def with_init(init: Raw, **more: object) -> Raw:
    """A Deployment with one good container and an init container."""
    return deployment("web", pod={"initContainers": [merge(container(name="setup"), init)], **more})


def debugged(security: Raw) -> Callable[[Api, str], Callable[[], None]]:
    """Put an ephemeral container into the first pod, as `kubectl debug` does."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        path = f"/api/v1/namespaces/{namespace}/pods"
        pod = api.get(path)["items"][0]["metadata"]["name"]
        debug = {"name": "debug", "image": "registry.example/debug:1", "securityContext": security}
        patch = {"spec": {"ephemeralContainers": [debug]}}
        api.patch(f"{path}/{pod}/ephemeralcontainers", patch, content_type="application/strategic-merge-patch+json")
        return lambda: None

    return arrange


def running_as(uid: int) -> Callable[[Api, str], Callable[[], None]]:
    """Report a UID for the main container of every pod, as a kubelet of v1.33 or later does."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        path = f"/api/v1/namespaces/{namespace}/pods"
        for pod in api.get(path)["items"]:
            statuses = pod["status"]["containerStatuses"]
            statuses[0]["user"] = {"linux": {"uid": uid, "gid": uid}}
            patch = {"status": {"containerStatuses": statuses}}
            api.patch(f"{path}/{pod['metadata']['name']}/status", patch)
        return lambda: None

    return arrange


NO_PRIVILEGED = "pod-security.no-privileged-containers"
NO_ESCALATION = "pod-security.no-privilege-escalation"
HOST = "pod-security.no-host-namespaces"
PROC = "pod-security.default-proc-mount"
PRIVILEGED = {"privileged": True, "allowPrivilegeEscalation": None}

PRIVILEGES = [
    defect(
        NO_PRIVILEGED,
        "the second container",
        idle(deployment("web", container(), container(name="side", securityContext=PRIVILEGED))),
        observed="containers[side]",
    ),
    defect(
        NO_PRIVILEGED,
        "an init container",
        idle(with_init({"securityContext": PRIVILEGED})),
        observed="initContainers[setup]",
    ),
    defect(
        NO_PRIVILEGED,
        "the template of a CronJob",
        cron_job("report", container(securityContext=PRIVILEGED)),
        observed="spec.jobTemplate.spec.template.spec.containers[main]",
    ),
    defect(
        NO_PRIVILEGED,
        "a debugging container in one live pod",
        deployment(),
        observed="ephemeralContainers[debug]",
        pods=True,
        arrange=debugged({"privileged": True}),
    ),
    near_miss(NO_PRIVILEGED, "the field is absent", idle(deployment("web", PLAIN))),
    near_miss(
        NO_PRIVILEGED,
        "every capability there is, but not privileged",
        idle(
            deployment(
                "web", container(securityContext={"allowPrivilegeEscalation": None, "capabilities": {"add": ["ALL"]}})
            )
        ),
    ),
    defect(NO_ESCALATION, "the field is absent", idle(deployment("web", PLAIN)), observed="not set"),
    defect(
        NO_ESCALATION,
        "a sidecar among the init containers",
        idle(with_init({"restartPolicy": "Always", "securityContext": {"allowPrivilegeEscalation": True}})),
        observed="initContainers[setup]",
    ),
    near_miss(NO_ESCALATION, "false everywhere", idle(with_init({}))),
    near_miss(
        NO_ESCALATION, "Windows, where the field does not exist", idle(windows()), verdict=Verdict.NOT_APPLICABLE
    ),
    defect(HOST, "hostNetwork", idle(deployment(pod={"hostNetwork": True})), observed="hostNetwork"),
    defect(HOST, "hostPID of a DaemonSet", idle(daemon_set(pod={"hostPID": True})), observed="hostPID"),
    defect(HOST, "hostIPC of a bare Pod", bare_pod(hostIPC=True), observed="spec.hostIPC"),
    defect(
        HOST,
        "HostProcess on Windows",
        merge(idle(windows(hostProcess=True)), {"spec": {"template": {"spec": {"hostNetwork": True}}}}),
        observed="containers[main]",
    ),
    near_miss(
        HOST,
        "false, and processes shared within the pod",
        idle(deployment(pod={"hostNetwork": False, "hostPID": False, "shareProcessNamespace": True})),
    ),
    near_miss(HOST, "Windows without HostProcess", idle(windows(runAsUserName="ContainerUser"))),
    defect(
        PROC,
        "Unmasked in a user namespace",
        idle(deployment("web", container(securityContext={"procMount": "Unmasked"}), pod={"hostUsers": False})),
        observed="Unmasked",
    ),
    near_miss(
        PROC, "Default, written out", idle(deployment("web", container(securityContext={"procMount": "Default"})))
    ),
]

DROP = "pod-security.drop-all-capabilities"
ADD = "pod-security.minimal-added-capabilities"


def capabilities(**lists: list[str]) -> Raw:
    """A Deployment whose container drops and adds the given capabilities."""
    return deployment("web", container(securityContext={"capabilities": lists}))


CAPABILITIES = [
    defect(
        DROP, "a list of single names", idle(capabilities(drop=["NET_RAW", "SYS_ADMIN", "MKNOD"])), observed="MKNOD"
    ),
    defect(
        DROP,
        "the word in lower case, which admission refuses under the restricted standard",
        idle(capabilities(drop=["all"])),
        observed="all",
    ),
    defect(
        DROP,
        "no drop in an init container",
        idle(with_init({"securityContext": {"capabilities": None}})),
        observed="initContainers[setup]",
    ),
    defect(
        DROP,
        "dropped by a privileged container, which keeps everything",
        idle(deployment("web", container(securityContext=PRIVILEGED))),
        observed="privileged",
    ),
    near_miss(
        DROP,
        "ALL among others, and one added back",
        idle(capabilities(drop=["NET_RAW", "ALL"], add=["NET_BIND_SERVICE"])),
    ),
    near_miss(DROP, "Windows", idle(windows()), verdict=Verdict.NOT_APPLICABLE),
    defect(
        ADD,
        "SYS_PTRACE beside the harmless one",
        idle(capabilities(add=["NET_BIND_SERVICE", "SYS_PTRACE"])),
        observed="SYS_PTRACE",
    ),
    defect(
        ADD,
        "declared for another workload",
        idle(capabilities(add=["NET_ADMIN"])),
        observed="NET_ADMIN",
        policy={"subjects": {"capabilities": {"{ns}/vpn": ["NET_ADMIN"]}}},
    ),
    near_miss(ADD, "NET_BIND_SERVICE", idle(capabilities(add=["NET_BIND_SERVICE"]))),
    near_miss(
        ADD,
        "declared for this workload",
        idle(capabilities(add=["NET_ADMIN"])),
        policy={"subjects": {"capabilities": {"{ns}/w*": ["NET_ADMIN"]}}},
    ),
]

NON_ROOT = "pod-security.non-root-containers"
LITERAL = "pod-security.run-as-non-root"
NOBODY = "pod-security.run-as-uid-65534"
OPERATOR_USER = "pod-security.operator-run-as-user-65532"
UNSAID = {"runAsNonRoot": None, "runAsUser": None}


def silent_windows() -> Raw:
    """A Deployment of Windows pods that says nothing about users."""
    return merge(windows(), {"spec": {"template": {"spec": {"securityContext": {"runAsNonRoot": None}}}}})


def windows_container(user: str) -> Raw:
    """A Deployment of Windows pods whose container overrides the administrator that its pod names."""
    security = dict.fromkeys(LINUX_ONLY) | {"windowsOptions": {"runAsUserName": user}}
    base = windows(runAsUserName="ContainerAdministrator")
    return merge(base, {"spec": {"template": {"spec": {"containers": [container(securityContext=security)]}}}})


USERS = [
    defect(
        NON_ROOT, "nothing is said", idle(deployment("web", PLAIN, pod={"securityContext": UNSAID})), observed="neither"
    ),
    defect(
        NON_ROOT,
        "UID 0 beside runAsNonRoot",
        idle(deployment(pod={"securityContext": {"runAsUser": 0}})),
        observed="runAsUser: 0",
    ),
    defect(
        NON_ROOT,
        "the container overrides its pod",
        idle(deployment("web", container(securityContext={"runAsUser": 0, "runAsNonRoot": False}))),
        observed="runAsUser: 0",
    ),
    defect(
        NON_ROOT,
        "root in a user namespace is a mitigation only",
        idle(deployment(pod={"hostUsers": False, "securityContext": {"runAsNonRoot": None, "runAsUser": 0}})),
        observed="hostUsers",
    ),
    defect(
        NON_ROOT,
        "the template is good and the running container is root",
        deployment(),
        observed="UID 0",
        pods=True,
        arrange=running_as(0),
    ),
    defect(
        NON_ROOT,
        "ContainerAdministrator on Windows",
        idle(windows(runAsUserName="ContainerAdministrator")),
        observed="ContainerAdministrator",
    ),
    near_miss(NON_ROOT, "runAsNonRoot alone", idle(deployment(pod={"securityContext": {"runAsUser": None}}))),
    near_miss(
        NON_ROOT,
        "a UID alone, with runAsNonRoot false",
        deployment(pod={"securityContext": {"runAsNonRoot": False, "runAsUser": 1}}),
        pods=True,
        arrange=running_as(1),
    ),
    near_miss(NON_ROOT, "a plain user on Windows", idle(windows(runAsUserName="ContainerUser"))),
    defect(
        LITERAL,
        "a UID alone",
        idle(deployment(pod={"securityContext": {"runAsNonRoot": None}})),
        observed="runAsUser: 10001",
    ),
    defect(
        LITERAL,
        "one container overrides",
        idle(deployment("web", container(), container(name="side", securityContext={"runAsNonRoot": False}))),
        observed="containers[side]",
    ),
    defect(
        LITERAL,
        "UID 0 beside it",
        idle(stateful_set(pod={"securityContext": {"runAsUser": 0}})),
        observed="runAsUser: 0",
    ),
    near_miss(
        LITERAL,
        "each container says so and the pod does not",
        idle(deployment("web", container(securityContext={"runAsNonRoot": True}), pod={"securityContext": UNSAID})),
    ),
    defect(NOBODY, "another UID", idle(daemon_set()), observed="10001"),
    defect(
        NOBODY,
        "an init container runs as root",
        idle(
            daemon_set(
                pod={
                    "initContainers": [container(name="setup", securityContext={"runAsUser": 0})],
                    "securityContext": {"runAsUser": 65534},
                }
            )
        ),
        observed="initContainers[setup]",
    ),
    near_miss(NOBODY, "the pod's UID", idle(daemon_set(pod={"securityContext": {"runAsUser": 65534}}))),
    near_miss(
        NOBODY, "a UID of the policy file's", idle(daemon_set()), policy={"subjects": {"daemon_sets": {"uid": 10001}}}
    ),
    near_miss(
        NOBODY,
        "no UID and simulated nodes",
        idle(daemon_set(pod={"securityContext": {"runAsUser": None}})),
        verdict=Verdict.NOT_ASSESSED,
    ),
    near_miss(
        NOBODY,
        "the kubelet reports the UID of the image",
        daemon_set(pod={"securityContext": {"runAsUser": None}}),
        pods=True,
        arrange=running_as(65534),
    ),
    near_miss(
        NOBODY,
        "a pattern that names no DaemonSet",
        idle(daemon_set()),
        verdict=Verdict.NOT_ASSESSED,
        policy={"subjects": {"daemon_sets": {"select": ["{ns}/agnet"]}}},
    ),
    defect(OPERATOR_USER, "another UID", idle(deployment()), observed="10001", policy=OPERATOR),
    near_miss(OPERATOR_USER, "65532", idle(deployment(pod={"securityContext": {"runAsUser": 65532}})), policy=OPERATOR),
    near_miss(
        OPERATOR_USER,
        "an operator that does not exist",
        idle(deployment("other")),
        verdict=Verdict.NOT_ASSESSED,
        policy=OPERATOR,
    ),
    near_miss(OPERATOR_USER, "no operator under assessment", idle(deployment()), verdict=Verdict.NOT_APPLICABLE),
    defect(NON_ROOT, "nothing is said on Windows", idle(silent_windows()), observed="neither"),
    near_miss(NON_ROOT, "a plain user in the container alone, on Windows", idle(windows_container("ContainerUser"))),
]

CASES: list[Case] = [*PRIVILEGES, *CAPABILITIES, *USERS]
