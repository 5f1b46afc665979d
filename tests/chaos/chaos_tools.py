"""What the tests of chaos share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import chaos.test_leader_failover
import chaos.test_member_loss
from chaos import mutex
from chaos.experiment import Plan, load
from chaos.ground import Ground
from fixtures.readiness import CHECKS, Findings
from fixtures.subjects import WholeCluster
from fixtures.undo import Journal

MODULES = {chaos.test_leader_failover.__name__, chaos.test_member_loss.__name__}
"""The modules that declare the checks of chaos; importing them fills CHECKS."""


def findings_of(property_id: str) -> Findings:
    """Empty findings of a property about the whole cluster."""
    return Findings(CHECKS[property_id], WholeCluster({}))


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> Plan:
    """An experiment of the suite with something in it changed."""
    experiment = copy.deepcopy(load(name).experiment)
    change(experiment)
    return Plan(name, experiment)


def processes(ground: Ground) -> dict[str, int]:
    """The pid of every member, by its name."""
    return {str(member): member.pid for member in ground.cluster.members}


def left_behind(ground: Ground) -> list[str]:
    """What a trial should have undone and did not: members down, canaries, the mutex, an undo journal of its own."""
    servers = ground.servers
    left = [f"{member} is down" for member in ground.cluster.members if not ground.cluster.alive(member)]
    pods = servers.any(lambda api: api.get(f"/api/v1/namespaces/{ground.namespace}/pods"))["items"]
    maps = servers.any(lambda api: api.get(f"/api/v1/namespaces/{ground.namespace}/configmaps"))["items"]
    left += [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    left += [one["metadata"]["name"] for one in maps if one["metadata"]["name"] != "kube-root-ca.crt"]
    left += [f"mutex of {holder}" for holder in [mutex.held_by(servers)] if holder]
    journals = [Journal.read(path) for path in Journal.pending(ground.state)]
    return left + [f"journal of {one.run}" for one in journals if one.run != ground.session]
