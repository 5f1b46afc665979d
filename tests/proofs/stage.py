"""Plays cases on a real API server: creates their objects, takes an inventory and asks the check."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fixtures.api import Api, ApiError
from fixtures.catalogue import load
from fixtures.clusters import Cluster
from fixtures.inventory.kinds import BY_KIND
from fixtures.plugin.groups import groups
from fixtures.plugin.judge import given, judge
from fixtures.plugin.run import Run
from fixtures.policy import LoadedPolicy, Policy
from reports.record import Record
from tests.proofs.case import Case

Raw = dict[str, Any]
DEADLINE = 240.0
"""Seconds within which the objects of a case must exist and its pods be Ready."""


class Stage:
    """A cluster on which cases are played. Cases that share the stage are set up together, since that is far faster."""

    def __init__(self, cluster: Cluster, api: Api, folder: Path, cases: Sequence[Case], image: str = "") -> None:
        self.cluster = cluster
        self.image = image
        self.api = api
        self.folder = folder
        self.names = {case.id: f"proof-{number}" for number, case in enumerate(cases)}
        self._runs = 0
        shared = [case for case in cases if not case.alone]
        if "simulated-nodes" in cluster.capabilities:
            self._make_room()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._set_up, shared))
        for case in shared:
            self._settle(case)
        self._shared = self._new_folder()

    def play(self, case: Case) -> Record:
        """The record that the check makes of the case's subject."""
        if not case.alone:
            return self._ask(case, self._shared)
        with self._alone(case):
            return self._ask(case, self._new_folder())

    def _ask(self, case: Case, shared: Path) -> Record:
        name = self.names[case.id]
        plain = {"scope": {"include": [name]}, **_filled(case.policy, name)}
        loaded = LoadedPolicy(policy=Policy.model_validate(plain), path="", digest="", required=())
        run = Run(self.cluster, loaded, shared, self.folder, "cluster", (), probes=(self.image, "", ""))
        check = load()[case.property_id]
        function = getattr(__import__(check.module, fromlist=["_"]), check.function)
        [group] = groups(run, check)
        try:
            records = judge(run, check, group, function, given(run, check, function))
        finally:
            run.close()
        subject = _filled(case.subject, name)
        found = [record for record in records if record.subject == subject or not subject]
        assert len(found) == 1, f"{case.id}: no single record of {subject!r} among {[r.subject for r in records]}"
        return found[0]

    def _make_room(self) -> None:
        """Let the simulated nodes take all cases' pods at once: a real node's 110 would be full."""
        room = {
            "capacity": {"cpu": "130", "memory": "520Gi", "pods": "2000"},
            "allocatable": {"cpu": "128", "memory": "512Gi", "pods": "2000"},
        }
        for node in self.api.get("/api/v1/nodes")["items"]:
            self.api.patch(f"/api/v1/nodes/{node['metadata']['name']}/status", {"status": room})

    def _new_folder(self) -> Path:
        self._runs += 1
        folder = self.folder / f"inventory-{self._runs}"
        folder.mkdir()
        return folder

    def _set_up(self, case: Case) -> None:
        name = self.names[case.id]
        self.api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for raw in _filled(list(case.objects), name):
            self._create(raw, name)

    def _create(self, raw: Raw, namespace: str) -> str:
        group, _, version = raw["apiVersion"].rpartition("/")
        kind = BY_KIND[group, raw["kind"]]
        path = kind.path(version, raw["metadata"].get("namespace", namespace) if kind.namespaced else "")
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                self.api.create(path, raw)
                return f"{path}/{raw['metadata']['name']}"
            except ApiError as error:  # a pod needs its namespace's ServiceAccount, which a controller makes
                if "serviceaccount" not in error.message or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _settle(self, case: Case) -> None:
        if case.pods:
            deadline = time.monotonic() + DEADLINE
            while not self._settled(self.names[case.id]):
                assert time.monotonic() < deadline, f"{case.id}: the pods are not all Ready after {DEADLINE} s"
                time.sleep(0.1)
        if case.arrange and not case.alone:
            case.arrange(self.api, self.names[case.id])

    def _settled(self, namespace: str) -> bool:
        place = f"/namespaces/{namespace}"
        for kind in ("deployments", "statefulsets", "daemonsets"):
            for raw in self.api.get(f"/apis/apps/v1{place}/{kind}")["items"]:
                status, wanted = raw.get("status") or {}, raw["spec"].get("replicas", 0)
                wanted = (status.get("desiredNumberScheduled") or -1) if kind == "daemonsets" else wanted
                ready = status.get("numberReady" if kind == "daemonsets" else "readyReplicas") or 0
                if status.get("observedGeneration") != raw["metadata"]["generation"] or ready != wanted:
                    return False
        pods = self.api.get(f"/api/v1{place}/pods")["items"]
        return all((pod.get("status") or {}).get("phase") in ("Running", "Succeeded") for pod in pods)

    @contextlib.contextmanager
    def _alone(self, case: Case) -> Iterator[None]:
        name = self.names[case.id]
        made: list[str] = []
        undo = None
        try:
            self.api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            made = [self._create(raw, name) for raw in _filled(list(case.objects), name)]
            self._settle(case)
            undo = case.arrange(self.api, name) if case.arrange else None
            yield
        finally:
            if undo:
                undo()
            for path in reversed(made):
                self.api.delete(path)


def _filled(value: Any, name: str) -> Any:
    return json.loads(json.dumps(value).replace("{ns}", name))
