"""How a new version of a workload replaces the old one."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from fixtures.readiness import Findings, readiness
from fixtures.subjects import Raw, Reader, Workload
from fixtures.subjects.availability import AUTOSCALERS, minimums
from fixtures.subjects.declared import SERVICES, services_by_label, services_of

BATCH = frozenset({"Job", "CronJob"})


@readiness("workloads.deployment-strategies", severity="medium", reads=(AUTOSCALERS,))
def test_updates_leave_pods_running(controller: Workload, findings: Findings, inventory: Reader) -> None:
    """An update of a workload replaces its pods step by step and leaves some running.

    Why: Recreate, or a maxUnavailable as large as the workload, takes the whole service down with each release; with
    OnDelete a release does not arrive until somebody deletes pods.
    How: the type of spec.strategy or spec.updateStrategy; with more than one replica no Recreate, and maxUnavailable,
    rounded as Kubernetes rounds it, is less than the lowest number of replicas that an autoscaler may choose. A
    Rollout names canary or blueGreen. A single replica is not judged by maxUnavailable, since Recreate says the same
    openly.
    Fix: set `type: RollingUpdate` with `maxUnavailable: 0` or `25%`, and record the reason wherever it must be
    otherwise.
    Does not prove: that the new version is ready when its probe says so, nor that the choice is written down.
    """
    minimum = inventory.derive(minimums).get((controller.namespace, controller.kind, controller.short_name))
    lowest = controller.replicas if minimum is None else min(minimum, controller.replicas)
    field = "strategy" if controller.kind in ("Deployment", "Rollout") else "updateStrategy"
    strategy = controller.spec.get(field) or {}
    if controller.kind == "Rollout":
        named = "canary" in strategy or "blueGreen" in strategy
        findings.expect(named, "spec.strategy", expected="canary or blueGreen", observed=strategy)
        rolling = strategy.get("canary") or {}
    else:
        kind = strategy.get("type") or "RollingUpdate"
        ok = kind == "RollingUpdate" or (kind == "Recreate" and max(minimum or 0, controller.replicas) <= 1)
        observed = f"{kind} with {controller.replicas} replicas"
        findings.expect(ok, f"spec.{field}.type", expected="RollingUpdate", observed=observed)
        rolling = (strategy.get("rollingUpdate") or {}) if kind == "RollingUpdate" else {}
    away = rolling.get("maxUnavailable")
    if lowest > 1 and away is not None:
        missing = _of(away, lowest, round_up=controller.kind in ("DaemonSet", "StatefulSet"))
        findings.expect(
            missing < lowest,
            f"spec.{field}.rollingUpdate.maxUnavailable",
            expected=f"less than {lowest}",
            observed=away,
        )


@readiness("workloads.readiness-probes-behind-services", severity="medium", reads=(SERVICES,))
def test_pods_behind_services_have_a_readiness_probe(workload: Workload, findings: Findings, inventory: Reader) -> None:
    """Every pod behind a Service has a readiness probe.

    Why: without one a pod gets traffic before its program listens, and an update goes on although the new version
    fails.
    How: the container that declares the Service's target port has a readinessProbe; where no container declares it,
    any container. Services that publish pods before they are ready are left out, and so are Jobs.
    Fix: add a `readinessProbe` that asks the program itself whether it can serve.
    Does not prove: that the probe looks at anything that matters.
    """
    if workload.kind in BATCH:
        findings.not_applicable(f"a {workload.kind} runs to its end and serves nobody")
    services = [
        raw
        for raw in services_of(workload, inventory.derive(services_by_label))
        if not raw["spec"].get("publishNotReadyAddresses")
    ]
    if not services:
        findings.not_applicable("no Service that waits for readiness selects the pods")
    able = [one for one in workload.containers if one.role == "containers" or one.sidecar]
    for service in services:
        for target in _target_ports(service):
            serving = [one for one in able if _declares(one.raw, target)]
            probed = [one for one in (serving or able) if one.probe("readinessProbe")]
            names = ", ".join(one.name for one in serving or able)
            at = f"Service {service['metadata']['name']} port {target}"
            findings.expect(bool(probed), at, expected="a readinessProbe", observed=f"none on container {names}")


def _of(value: int | str, whole: int, *, round_up: bool) -> int:
    """An intOrString of a whole number of pods; what is neither a number nor a percentage counts as all of them."""
    match = re.fullmatch(r"(\d+)(%?)", str(value))
    if not match:
        return whole
    share = Fraction(int(match[1]), 100) * whole if match[2] else Fraction(int(match[1]))
    return math.ceil(share) if round_up else math.floor(share)


def _target_ports(service: Raw) -> list[int | str | None]:
    ports = service["spec"].get("ports") or ()
    return [port.get("targetPort", port.get("port")) for port in ports] or [None]


def _declares(container: Raw, target: int | str | None) -> bool:
    return target is not None and any(
        target in (port.get("containerPort"), port.get("name")) for port in container.get("ports") or ()
    )
