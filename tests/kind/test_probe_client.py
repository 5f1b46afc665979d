"""Asking probe pods on a cluster where containers really run; what cannot be asked is never an answer."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from fixtures.api import Api, Budget, Forbidden, ReadOnlyViolation
from fixtures.clusters import Cluster
from fixtures.lab import image, objects
from fixtures.lab.place import is_ready
from fixtures.lab.probe import Answer, NoWayError, Probe, ProbeError, Way
from fixtures.lab.waiting import await_object
from fixtures.limits import LAB_POD_DEADLINE

POD = "/api/v1/namespaces/{}/pods/{}"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{}"
both = pytest.mark.parametrize("way", list(Way), ids=["exec", "proxy"])


@pytest.fixture(scope="module")
def kubeconfig(target: Cluster) -> Path:
    assert target.kubeconfig is not None
    return target.kubeconfig


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[Api]:
    api = Api.connect(kubeconfig)
    yield api
    api.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Api]]:
    """`Api.connect`, closed when the test ends."""
    with ExitStack() as stack:

        def run(*args: Any, **options: Any) -> Api:
            api = Api.connect(*args, **options)
            stack.callback(api.close)
            return api

        yield run


@pytest.fixture(scope="module")
def namespace(api: Api) -> Iterator[str]:
    name = f"probe-dev-{secrets.token_hex(4)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    await_object(api, account, lambda found: found, LAB_POD_DEADLINE.value, "the default service account")
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def start(api: Api, namespace: str) -> Callable[..., dict[str, Any]]:
    """Start a pod and wait until it is as wanted; the pod."""

    def run(name: str, *args: str, until: Callable[[dict[str, Any]], bool] = is_ready, **spec: Any) -> dict[str, Any]:
        body = objects.pod(name, objects.pod_spec(image.tag(), args, **spec))
        api.create(f"/api/v1/namespaces/{namespace}/pods", body)
        path = POD.format(namespace, name)
        return await_object(api, path, lambda pod: pod if pod and until(pod) else None, LAB_POD_DEADLINE.value, name)

    return run


@pytest.fixture(scope="module")
def one(start: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A pod that serves, with a volume at /data."""
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    args = ("serve", "--remote", "--name", "one")
    return start("one", *args, container=container, volumes=[{"name": "data", "emptyDir": {}}])


@pytest.fixture(scope="module")
def two(start: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A pod that is asked about, and runs nothing for others."""
    return start("two", "serve")


@pytest.fixture
def probe(api: Api, namespace: str, one: dict[str, Any], way: Way) -> Probe:
    return Probe(api, namespace, "one", way=way)


@both
def test_the_confinement_of_the_container_is_seen_from_inside(probe: Probe) -> None:
    facts = probe.facts("/data", "/tmp")

    assert (facts["uid"], facts["gid"]) == (objects.NOBODY, objects.NOBODY)
    assert all(facts["capabilities"][kind] == [] for kind in ("effective", "permitted", "bounding"))
    assert (facts["no_new_privs"], facts["seccomp"], facts["token"]) == (True, "filter", False)
    assert {path: one["class"] for path, one in facts["writable"].items()} == {
        "/": "read-only", "/tmp": "read-only", "/data": "",
    }  # fmt: skip
    assert facts["hostname"] == "one"
    assert facts["process"]["shared"] is False
    assert (facts["limits"]["memory"], facts["limits"]["cpu"]) == (64 * 2**20, 0.5)


@both
def test_another_pod_is_reached_by_each_protocol(probe: Probe, two: dict[str, Any]) -> None:
    address = two["status"]["podIP"]

    http = probe.http(f"http://{address}:8080/")
    tcp = probe.tcp(f"{address}:8081", echo=True)
    udp = probe.udp(f"{address}:8082")

    assert (http.ok, http.kind, http.answer["status"], http.answer["pod"]) == (True, "", 200, "two")
    assert (tcp.ok, tcp.answer["pod"]) == (True, "two")
    assert (udp.ok, udp.answer["pod"]) == (True, "two")
    assert probe.tcp(f"{address}:9").kind == "refused"
    assert probe.udp(f"{address}:9").kind == "refused"
    assert probe.http(f"http://{address}:8080/nowhere").kind == "status"
    assert probe.http(f"http://{address}:8080/?delay=20s", timeout=0.3).kind == "timeout"


@both
def test_names_are_looked_up_by_the_pods_own_name_server(probe: Probe, api: Api) -> None:
    service = api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]

    def ask(name: str, record: str = "A") -> Answer:
        return probe.dns(
            name, record=record, timeout=20
        )  # several tries, since this is not about a name server's speed

    found, missing = ask("kubernetes.default.svc.cluster.local."), ask("nowhere.default.svc.cluster.local.")
    pointer = ask(service, "PTR")

    assert (found.error, found.answer["records"]) == ("", [service])
    assert (missing.ok, missing.kind, missing.answer["not_found"]) == (False, "dns", True)
    assert (pointer.error, pointer.answer["records"]) == ("", ["kubernetes.default.svc.cluster.local."])
    srv = ask("_https._tcp.kubernetes.default.svc.cluster.local.", "SRV").answer["records"]
    assert [record.split()[2:] for record in srv] == [["443", "kubernetes.default.svc.cluster.local."]]


@both
def test_files_are_written_and_read(probe: Probe) -> None:
    assert probe.write("/data/file", "--text\nof two lines").answer == {"bytes": 19}
    assert probe.read("/data/file").answer == {"text": "--text\nof two lines", "cut": False}
    assert probe.write("/file", "x").kind == "read-only"
    assert probe.read("/data/none").kind == "missing"


@both
def test_the_server_is_told_what_to_say_and_says_what_it_was_told(probe: Probe, one: dict[str, Any]) -> None:
    url = f"http://{one['status']['podIP']}:8080/healthz"
    probe.control(live=False)
    try:
        assert probe.http(url).answer["status"] == 503
    finally:
        probe.control(live=True)

    assert probe.http(url).ok
    assert probe.signals()["signals"] == []
    assert probe.requests()["served"]["/healthz"] >= 2


@both
def test_load_is_counted(probe: Probe, two: dict[str, Any]) -> None:
    load = probe.load(f"http://{two['status']['podIP']}:8080/", rate=20, seconds=1, new_connections=True)

    assert load.ok, load.error
    assert (load.answer["intended"], load.answer["pods"]) == (20, {"two": 20})


@both
def test_a_question_put_wrongly_or_out_of_time_has_no_answer(probe: Probe) -> None:
    with pytest.raises(
        ProbeError, match=r"`probe tcp nowhere --timeout 2s` in probe-dev-\w+/one has no answer: wrong use: .*HOST:PORT"
    ):
        probe.tcp("nowhere")
    with pytest.raises(ProbeError, match="exit code 7"):
        probe.run("crash", "--after", "0s", "--code", "7")
    with pytest.raises(ProbeError, match=r"what it printed is no answer: .*crashing"):
        probe.run("crash", "--after", "0s", "--code", "0")
    with pytest.raises(ProbeError, match=r"`probe sleep 60` .* has no answer"):
        probe.run("sleep", "60", timeout=1)


@both
def test_a_pod_that_does_not_run_has_no_answer(
    api: Api, namespace: str, start: Callable[..., dict[str, Any]], way: Way
) -> None:
    def over(pod: dict[str, Any]) -> bool:
        return bool(pod["status"].get("phase") == "Succeeded")

    name = f"over-{way.name.lower()}"
    start(name, "sleep", "0", until=over, restartPolicy="Never")

    with pytest.raises(ProbeError, match=f"in {namespace}/{name} has no answer"):
        Probe(api, namespace, name, way=way).run("facts", timeout=4)
    with pytest.raises(ProbeError, match=f"in {namespace}/none has no answer: .*not found"):
        Probe(api, namespace, "none", way=way).facts()


def test_a_container_that_is_not_there_has_no_answer(api: Api, namespace: str, one: dict[str, Any]) -> None:
    with pytest.raises(ProbeError, match="container sidecar is not valid"):
        Probe(api, namespace, "one", "sidecar", way=Way.EXEC).facts()


def test_a_server_that_runs_nothing_for_others_is_told(api: Api, namespace: str, two: dict[str, Any]) -> None:
    with pytest.raises(ProbeError, match="does it run `probe serve --remote`"):
        Probe(api, namespace, "two", way=Way.PROXY).facts()


@both
def test_a_cluster_that_may_only_be_read_is_not_asked(
    connect: Callable[..., Api], kubeconfig: Path, namespace: str, one: dict[str, Any], way: Way
) -> None:
    api = connect(kubeconfig, read_only=True)

    with pytest.raises(ReadOnlyViolation):
        Probe(api, namespace, "one", way=way).facts()

    assert api.requests == 0


def test_a_question_is_a_request_of_the_budget(
    connect: Callable[..., Api], kubeconfig: Path, namespace: str, one: dict[str, Any]
) -> None:
    api = connect(kubeconfig, budget=Budget(0.001, 1))
    probe = Probe(api, namespace, "one", way=Way.EXEC)

    probe.facts()

    assert api.requests == 1
    with pytest.raises(ProbeError, match="request budget"):
        probe.facts()


def test_many_ask_at_once(api: Api, namespace: str, one: dict[str, Any]) -> None:
    probe = Probe(api, namespace, "one", way=Way.EXEC)

    with ThreadPoolExecutor(4) as pool:
        told = list(
            pool.map(
                lambda text: probe.write(f"/data/{text}", text).ok and probe.read(f"/data/{text}").answer["text"],
                "abcdefgh",
            )
        )

    assert told == list("abcdefgh")


@contextmanager
def relay(host: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A way to the API server that can be cut: its address, and what cuts it."""
    to = urlsplit(host)
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((to.hostname or "", to.port or 443))
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    def cut() -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield "https://{}:{}".format(*listener.getsockname()), cut
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        cut()
        for end in ends:
            end.close()


@both
def test_a_connection_that_dies_has_no_answer(
    connect: Callable[..., Api], kubeconfig: Path, api: Api, namespace: str, one: dict[str, Any], way: Way
) -> None:
    """The question runs on in the pod, and nobody knows how it ended."""
    with relay(api.host) as (server, cut), ThreadPoolExecutor() as pool:
        through = connect(kubeconfig, server=server)
        probe = Probe(through, namespace, "one", way=way)
        assert probe.facts()["uid"] == objects.NOBODY

        asked = pool.submit(probe.run, "http", "http://127.0.0.1:8080/?delay=20s", "--timeout", "30s", timeout=40)
        watcher = Probe(api, namespace, "one", way=Way.EXEC)
        while not watcher.requests()["in_flight"]:
            assert not asked.done()
        cut()

        with pytest.raises(ProbeError, match="has no answer"):
            asked.result()


@pytest.fixture
def identity(
    connect: Callable[..., Api], api: Api, namespace: str, kubeconfig: Path, tmp_path: Path
) -> Callable[..., Api]:
    """An identity that may do in the namespace what is said, as (verb, resource), and nothing else."""

    def make(*rights: tuple[str, str]) -> Api:
        name = f"asker-{secrets.token_hex(4)}"
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        api.create(accounts, {"metadata": {"name": name}})
        rules = [{"apiGroups": [""], "resources": [resource], "verbs": [verb]} for verb, resource in rights]
        api.create(ROLES.format(namespace, "roles"), {"metadata": {"name": name}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subjects = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
        api.create(ROLES.format(namespace, "rolebindings"), binding)
        token = api.create(f"{accounts}/{name}/token", {"spec": {}})["status"]["token"]
        configuration = yaml.safe_load(kubeconfig.read_text())
        configuration["users"] = [{"name": user["name"], "user": {"token": token}} for user in configuration["users"]]
        file = tmp_path / name
        file.write_text(yaml.safe_dump(configuration))
        return connect(file)

    return make


EXEC = (("get", "pods/exec"), ("create", "pods/exec"))


@pytest.mark.parametrize(
    ("rights", "way"),
    [(EXEC, Way.EXEC), ((("create", "pods/proxy"),), Way.PROXY), ((*EXEC, ("create", "pods/proxy")), Way.EXEC)],
    ids=["exec", "proxy", "both"],
)
def test_the_rights_decide_the_way_and_suffice_for_it(
    identity: Callable[..., Api], namespace: str, one: dict[str, Any], rights: tuple[tuple[str, str], ...], way: Way
) -> None:
    api = identity(*rights)

    assert Way.find(api, namespace) is way
    assert Probe(api, namespace, "one").facts()["uid"] == objects.NOBODY
    with pytest.raises(
        NoWayError, match="in all namespaces: it needs get and create of pods/exec, or create of pods/proxy"
    ):
        Way.find(api)


@pytest.mark.parametrize("rights", [(), EXEC[:1], EXEC[1:], (("get", "pods/proxy"),), (("get", "pods"),)])
def test_without_the_rights_there_is_no_way(
    identity: Callable[..., Api], namespace: str, rights: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(NoWayError, match=f"in the namespace {namespace}: it needs"):
        Way.find(identity(*rights), namespace)


@pytest.mark.parametrize("rights", [EXEC[:1], EXEC[1:]], ids=["get", "create"])
def test_exec_takes_both_rights(
    identity: Callable[..., Api], namespace: str, one: dict[str, Any], rights: tuple[tuple[str, str], ...]
) -> None:
    with pytest.raises(Forbidden):
        identity(*rights).execute(POD.format(namespace, "one"), ["/probe", "facts"], container="probe")


def test_rights_that_are_not_known_are_no_rights(connect: Callable[..., Api], kubeconfig: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = "https://{}:{}".format(*listener.getsockname())

    with pytest.raises(ProbeError, match="whether this identity may get pods/exec is not known"):
        Way.find(connect(kubeconfig, server=gone))
