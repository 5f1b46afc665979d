"""A provisioner of volumes in a few lines, honest or not, so that classes of storage can be good and bad on any cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fixtures.api import Api, ApiError, Conflict, NotFound

Raw = dict[str, Any]
_VOLUMES, _CLAIMS = "/api/v1/persistentvolumes", "/api/v1/persistentvolumeclaims"
_EVERY = 0.3


def provisioner(path: str, *, tied: bool = True, keeps: bool = False) -> Callable[[Api, str], Callable[[], None]]:
    """Serve the class that is called like the case's namespace with volumes that are the folder `path` of a node.

    `tied` binds a volume to the node on which its first pod was scheduled (the class waits for that), so that it keeps its data;
    `keeps` leaves volumes behind whose claim is gone.
    """

    def arrange(api: Api, namespace: str) -> Callable[[], None]:
        ended = threading.Event()
        worker = threading.Thread(target=_serve, args=(api, namespace, path, tied, keeps, ended), daemon=True)
        worker.start()

        def undo() -> None:
            ended.set()
            worker.join()
            for one in _ours(api, namespace):
                api.delete(f"{_VOLUMES}/{one['metadata']['name']}")

        return undo

    return arrange


def storage_class(**more: Any) -> Raw:
    """The class that `provisioner` serves."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "{ns}"},
        "provisioner": "example.com/folder",
        "volumeBindingMode": "WaitForFirstConsumer",
        **more,
    }


def _ours(api: Api, name: str) -> list[Raw]:
    return [one for one in api.get(_VOLUMES)["items"] if one["spec"].get("storageClassName") == name]


def _serve(api: Api, name: str, path: str, tied: bool, keeps: bool, ended: threading.Event) -> None:
    while not ended.wait(_EVERY):
        claims = {
            one["metadata"]["uid"]: one
            for one in api.get(_CLAIMS)["items"]
            if one["spec"].get("storageClassName") == name
        }
        for uid, claim in claims.items():
            node = (claim["metadata"].get("annotations") or {}).get("volume.kubernetes.io/selected-node")
            if node and not claim["spec"].get("volumeName"):
                _make(api, name, path, uid, claim, node if tied else "")
        for one in [] if keeps else _ours(api, name):
            if one["spec"]["claimRef"]["uid"] not in claims:
                _drop(api, one["metadata"]["name"])


def _make(api: Api, name: str, path: str, uid: str, claim: Raw, node: str) -> None:
    spec: Raw = {
        "storageClassName": name,
        "capacity": claim["spec"]["resources"]["requests"],
        "accessModes": claim["spec"]["accessModes"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": path},
        "claimRef": {
            **{key: claim["metadata"][key] for key in ("name", "namespace", "uid")},
            "kind": "PersistentVolumeClaim",
        },
    }
    if node:
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    try:
        api.create(_VOLUMES, {"metadata": {"name": f"{name}-{uid[:8]}"}, "spec": spec})
    except Conflict:
        return  # made in the round before; the claim has not been bound yet


def _drop(api: Api, volume: str) -> None:
    try:
        api.delete(f"{_VOLUMES}/{volume}")
    except NotFound:
        return
    except ApiError as error:
        raise AssertionError(f"the volume {volume} cannot be deleted: {error}") from error
