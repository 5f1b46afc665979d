"""What an experiment would do, told beforehand; reads only."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from chaos.experiment import Plan
from chaos.faults import command_line, members_of, spare_server
from chaos.lease import LeaseError, LeaseRecord, crash_bound, retry_period
from fixtures.api import Api, ApiError
from fixtures.clusters.embedded.handle import EmbeddedCluster
from fixtures.limits import CHAOS_CALL_DEADLINE

WIDTH = 110
_MARGIN = 15


def describe(plan: Plan, cluster: EmbeddedCluster | None) -> str:
    """The plan as text; with a cluster it names who would be hit now and the bound that holds there."""
    hypothesis = plan.experiment["steady-state-hypothesis"]
    facts = plan.facts
    lines = [f"{plan.name}: {plan.title}"]
    rows = [
        ("fault", facts["fault"]),
        *(_now(plan, cluster) if cluster else [("now", "no embedded cluster is up, so nobody can be named")]),
        ("blast radius", facts["blast-radius"]),
        ("steady state", "; ".join(probe["name"] for probe in hypothesis["probes"])),
        ("method", "; ".join(activity["name"] for activity in plan.experiment["method"])),
        ("abort", facts["abort"]),
        ("undo", facts["undo"]),
        ("takes", facts["takes"]),
        ("decides", ", ".join(facts["properties"])),
    ]
    for name, text in rows:
        first, *rest = wrap(text, WIDTH - _MARGIN, break_on_hyphens=False)
        lines.append(f"  {name:<{_MARGIN - 2}}{first}")
        lines += [" " * _MARGIN + line for line in rest]
    return "\n".join(lines)


def _now(plan: Plan, cluster: EmbeddedCluster) -> Iterator[tuple[str, str]]:
    component = plan.facts["component"]
    running = members_of(cluster, component)
    if component == "kube-apiserver":
        victim = cluster.member(component, spare_server(cluster))
        yield "now", f"{victim} would be killed (process {victim.pid}); {len(running)} of {component} run"
        return
    leader = cluster.etcd_leader() if component == "etcd" else cluster.leader(component)
    who = f"{leader} leads (process {leader.pid})" if leader else "nobody leads"
    yield "now", f"{who}; {len(running)} of {component} run"
    if component != "etcd":
        yield "bound", _bound(cluster, component)


def _bound(cluster: EmbeddedCluster, component: str) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{component}"
    try:
        lease = Api.connect(cluster.kubeconfig, read_only=True, timeout=CHAOS_CALL_DEADLINE.value).get(path)
        retries = [retry_period(command_line(member)) for member in members_of(cluster, component)]
        return str(crash_bound(LeaseRecord.of(lease).duration, max(retries, key=lambda retry: retry.seconds)))
    except (ApiError, LeaseError, OSError, ValueError) as error:
        return f"not known: {error}"
