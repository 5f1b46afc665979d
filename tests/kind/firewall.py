"""Packets that get lost or led astray on one node, by rules of iptables that are put in through kube-proxy's pod."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fixtures.api import Api
from tests.kind.meddling import Meddler

Arrange = Callable[[Api, str], Callable[[], None]]


def filtered(*rules: str) -> Arrange:
    """Drop what a worker forwards, as a firewall between nodes does; rules are iptables' own, such as "-p udp --dport 53"."""
    return _ruled(*(f"filter FORWARD {rule} -j DROP" for rule in rules))


def redirected(port: int, other: int) -> Arrange:
    """Lead connections to one TCP port of a worker to another port of it."""
    return _ruled(f"nat PREROUTING -p tcp --dport {port} -j REDIRECT --to-ports {other}")


def _ruled(*rules: str) -> Arrange:
    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        pod = _proxy_on_a_worker(api)

        def change(verb: str) -> None:
            for rule in rules:
                table, _, rest = rule.partition(" ")
                command = ["iptables", "-w", "-t", table, verb, *rest.split()]
                ended = api.execute(pod, command, container="kube-proxy")
                assert ended.exit == 0, ended.stderr

        change("-I")
        return lambda: change("-D")

    return arrange


def connections_ended(label: str) -> Arrange:
    """End the connections that exist of every pod that gets a label, again and again: a step of containment by hand."""

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        ended = threading.Event()
        busy: list[threading.Thread] = []

        def react(event: str, pod: dict[str, Any]) -> None:
            address = (pod.get("status") or {}).get("podIP")
            if event != "DELETED" and address and not busy:
                busy.append(threading.Thread(target=_forget, args=(api, address, ended)))
                busy[0].start()

        meddler = Meddler(api, "/api/v1/pods", {"labelSelector": label}, react)

        def undo() -> None:
            ended.set()
            meddler.stop()
            for thread in busy:
                thread.join()

        return undo

    return arrange


def _forget(api: Api, address: str, ended: threading.Event) -> None:
    """Delete an address from the tables of connections of all nodes, until told to end."""
    while not ended.wait(1):
        for pod in _proxies(api):
            for side in ("--orig-src", "--orig-dst"):
                api.execute(pod, ["conntrack", "-D", side, address], container="kube-proxy")  # 1: there was none


def _proxies(api: Api) -> list[str]:
    found = api.get("/api/v1/namespaces/kube-system/pods", {"labelSelector": "k8s-app=kube-proxy"})["items"]
    return [f"/api/v1/namespaces/kube-system/pods/{one['metadata']['name']}" for one in found]


def _proxy_on_a_worker(api: Api) -> str:
    control_plane = {
        one["metadata"]["name"]
        for one in api.get("/api/v1/nodes")["items"]
        if "node-role.kubernetes.io/control-plane" in one["metadata"]["labels"]
    }
    found = api.get("/api/v1/namespaces/kube-system/pods", {"labelSelector": "k8s-app=kube-proxy"})["items"]
    names = sorted(one["metadata"]["name"] for one in found if one["spec"]["nodeName"] not in control_plane)
    return f"/api/v1/namespaces/kube-system/pods/{names[0]}"
