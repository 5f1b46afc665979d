"""Whether a claim gets a volume that keeps its data, tried out for each storage class."""

from __future__ import annotations

import time
from typing import Any

from fixtures import limits
from fixtures.api import ApiError
from fixtures.lab import Missed, Place, Workbench, objects
from fixtures.lab.place import is_ready, refused
from fixtures.lab.probe import Probe
from fixtures.lab.waiting import await_gone
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import StorageClass

CLAIM, FOLDER = "claim", "/volume"
FILE = f"{FOLDER}/kubeworthy"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


@readiness(
    "storage.dynamic-provisioning",
    severity="high",
    needs=("pods",),
    reads=("persistentvolumes",),
    consent="probes",
    uses=("namespaces", "pods", "pods/exec", "persistentvolumeclaims", "persistentvolumeclaims:patch", "events:list"),
)
def test_volumes_are_provisioned(
    storage_class: StorageClass, findings: Findings, lab: Workbench, policy: Policy
) -> None:
    """A claim gets a volume that keeps its data when its pod moves, grows, and goes.

    Why: What the first stateful release needs is found missing on the day of that release; a volume that cannot move holds its pod
        to a node that may be gone.
    How: A claim of 1 Gi of the class and a pod that, as an ordinary user with fsGroup, writes to it: bound and mounted within
        120 s. The pod is deleted and another, on another node where there is one that the volume can go to, must read the same
        text. Where the class allows expansion, the claim grows to 2 Gi; where it reclaims by Delete, the volume goes with the
        claim. Each step has 120 s.
    Fix: Repair the CSI driver, its cloud permissions or topology, as named in the claim's events.
    Does not prove: Speed, encryption, or that the data outlive the node's end.
    """
    if storage_class.provisioner == NO_PROVISIONER:
        findings.not_applicable(
            "its provisioner is kubernetes.io/no-provisioner: volumes of this class are made by hand"
        )
    with lab.place("storage") as place:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        body = objects.named(CLAIM, spec={**claim, "storageClassName": storage_class.short_name})
        if refusal := place.attempt("persistentvolumeclaims", body):
            findings.not_assessed(f"the claim is refused: {refusal.message}")
        _Trial(findings, place, lab, policy.limit(limits.PROVISIONING)).run(storage_class)


class _Trial:
    """The steps of a volume's life; each that fails is a finding, and ends the trial."""

    def __init__(self, findings: Findings, place: Place, lab: Workbench, seconds: float) -> None:
        self.findings, self.place, self.lab, self.seconds = findings, place, lab, seconds

    def run(self, storage_class: StorageClass) -> None:
        """Provision, move, expand and remove."""
        began = time.monotonic()
        writer = self._mounted("writer", "")
        self.findings.measure("claim to mounted", time.monotonic() - began, "s", self.seconds)
        if writer is None:
            return
        written = writer.write(FILE, self.lab.run)
        if not self.findings.expect(written.ok, "the volume", expected="written to", observed=written):
            return
        node = self._node("writer")
        self.place.delete("pods", "writer", wait=self.seconds)
        reader = self._mounted("reader", node)
        if reader is None:
            return
        found = reader.read(FILE)
        text = found.answer["text"] if found.ok else str(found)
        moved = self._node("reader") != node
        where = "on another node" if moved else "on the same node"
        self.findings.expect(text == self.lab.run, f"the volume, {where}", expected="the same text", observed=text)
        self.findings.measure("moves to another node", int(moved), "moves")
        if storage_class.raw.get("allowVolumeExpansion"):
            self._expanded()
        self._removed(storage_class)

    def _mounted(self, name: str, avoided: str) -> Probe | None:
        self.place.create("pods", objects.pod(name, _mounting(self.place.spec(), avoided)))

        def ready(found: dict[str, Any] | None) -> bool | None:
            return True if found and is_ready(found) else None

        if self._waited(f"the {name}'s volume", "bound and mounted", "pods", name, ready):
            return self.lab.probe(self.place.name, name)
        return None

    def _expanded(self) -> None:
        self.place.patch("persistentvolumeclaims", CLAIM, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})

        def grown(found: dict[str, Any] | None) -> bool | None:
            return True if ((found or {}).get("status") or {}).get("capacity", {}).get("storage") == "2Gi" else None

        self._waited("the claim", "expanded to 2Gi", "persistentvolumeclaims", CLAIM, grown)

    def _removed(self, storage_class: StorageClass) -> None:
        claim = self.place.api.get(self.place.path("persistentvolumeclaims", CLAIM))
        volume = f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}"
        self.place.delete("pods", "reader", gracePeriodSeconds=0)
        self.place.delete("persistentvolumeclaims", CLAIM)
        if (storage_class.raw.get("reclaimPolicy") or "Delete") != "Delete":
            return
        problem = ""
        try:
            await_gone(self.place.api, volume, self.seconds)
        except Missed as missed:
            problem = str(missed)
        except ApiError as error:
            raise refused(error, "watch persistentvolumes") from error
        self.findings.expect(not problem, "the volume", expected="removed with its claim", observed=problem)

    def _waited(self, at: str, expected: str, resource: str, name: str, seen: Any) -> bool:
        problem = ""
        try:
            self.place.await_one(resource, name, seen, self.seconds, expected)
        except Missed as missed:
            problem = f"{missed}; {self._events()}"
        return self.findings.expect(not problem, at, expected=f"{expected} within {self.seconds:g} s", observed=problem)

    def _node(self, pod: str) -> str:
        return str(self.place.api.get(self.place.path("pods", pod))["spec"]["nodeName"])

    def _events(self) -> str:
        found = self.place.api.get(self.place.path("events"), {"fieldSelector": f"involvedObject.name={CLAIM}"})[
            "items"
        ]
        return "; ".join(sorted({str(one.get("message", "")) for one in found}))[:500] or "the claim has no events"


def _mounting(spec: dict[str, Any], avoided: str) -> dict[str, Any]:
    spec["securityContext"]["fsGroup"] = objects.NOBODY
    spec["volumes"] = [{"name": "volume", "persistentVolumeClaim": {"claimName": CLAIM}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "volume", "mountPath": FOLDER}]
    if avoided:
        field = {"key": "metadata.name", "operator": "NotIn", "values": [avoided]}
        preferred = [{"weight": 100, "preference": {"matchFields": [field]}}]
        spec["affinity"] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    return spec
