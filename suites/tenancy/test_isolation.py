"""Tenants are apart in traffic, by the policies that are there."""

from __future__ import annotations

import fnmatch
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from fixtures.lab import Workbench
from fixtures.lab.flows import KUBELET, METADATA, Flow, await_flows, baseline
from fixtures.lab.rehearsal import POLICIES, USES, StandIn, rehearsal
from fixtures.lab.spread import endpoint
from fixtures.limits import POLICY_EFFECT, TENANCY_NAMESPACES, TENANCY_TENANTS, TENANCY_WORKLOADS
from fixtures.network_policies import CAPSULE_LABEL, WORLD_READS, World, world
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Node, Reader, WholeCluster, Workload, all_workloads


@readiness(
    "tenancy.network-isolation",
    severity="critical",
    needs=("pods", "traffic"),
    reads=WORLD_READS,
    consent="probes",
    uses=USES,
)
def test_tenants_do_not_reach_each_other(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """A pod of one tenant reaches no other tenant's pods, no metadata, no kubelet.

    Why: What separates tenants has to act on packets; a rule that looks right may not be enforced, or only on one path.
    How: Tenants are the namespaces grouped by subjects.tenant_label (or Capsule's). In namespaces of the run's own that carry
        the labels of a tenant's, stand-ins with the labels and the first TCP port of its workloads reach each other and
        the kubelet of another node. Then the NetworkPolicies of the real namespaces are copied there, and within 30 s
        nothing undeclared (subjects.tenant_flows) opens: to a stand-in of another tenant over TCP and UDP, to
        169.254.169.254 and to port 10250. No packet goes to the tenants' own pods.
    Fix: Give every tenant namespace default-deny for both directions, and allow what it needs by namespaceSelector, without
        the nodes' addresses and 169.254.169.254.
    Does not prove: Flows through NodePorts and gateways; more than six tenants at once (a random sample of each run),
        and than the first namespaces and workloads of each;
        policies of other kinds that belong to a namespace, which are not copied; that declared flows work.
    """
    here = inventory.derive(world)
    label = policy.subjects.tenant_label or CAPSULE_LABEL
    tenants = _tenants(here, policy, label)
    if len(tenants) < 2:
        findings.not_applicable(
            f"fewer than two tenants: namespaces with workloads carry {len(tenants)} values of {label}"
        )
    if foreign := _of_other_engines(here, tenants):
        findings.not_assessed(f"policies that cannot be copied: {', '.join(foreign)}")
    chosen = _chosen(inventory.derive(all_workloads), tenants)
    limit = policy.limit(POLICY_EFFECT)
    with rehearsal(lab, here, [one for some in chosen.values() for one in some]) as stage:
        tenant_of = {one.name: name for name, some in chosen.items() for one in some}
        between = _between(stage.actors, tenant_of, policy)
        kubelets = [flow for one in stage.actors for flow in _to_kubelet(one, inventory)]
        metadata = [_to_metadata(one) for one in stage.actors]
        baseline(findings, [*between, *kubelets])
        stage.apply(inventory.objects(POLICIES))
        outcome = await_flows(dict.fromkeys([*between, *kubelets, *metadata], False), limit)
    for one in (*between, *kubelets, *metadata):
        findings.expect(
            one not in outcome.wrong,
            one,
            expected=f"no connection within {limit:g} s",
            observed="open",
            look="kubectl get networkpolicies -A -o yaml",
        )
    if not outcome.wrong:
        findings.measure("in effect after", outcome.seconds, "s", limit)


def _tenants(here: World, policy: Policy, label: str) -> dict[str, list[str]]:
    """The judged namespaces of each tenant that hold pods which policies reach, by the tenant's name."""
    holding = {one.namespace for one in here.endpoints.values() if not one.host_network}
    found: dict[str, list[str]] = defaultdict(list)
    for name, labels in sorted(here.namespaces.items()):
        if label in labels and name in holding and policy.judges(name):
            found[labels[label]].append(name)
    return dict(found)


def _of_other_engines(here: World, tenants: Mapping[str, Sequence[str]]) -> list[str]:
    spaces = {name for names in tenants.values() for name in names}
    return sorted(one.name for one in here.others if one.name.partition(" ")[2].partition("/")[0] in spaces)


def _chosen(workloads: Sequence[Workload], tenants: Mapping[str, Sequence[str]]) -> dict[str, list[Workload]]:
    """The workloads that are stood in for: the first ones of the first namespaces, of each tenant or of a sample."""
    found: dict[str, list[Workload]] = {}
    most = int(TENANCY_TENANTS.value)
    for tenant in sorted(random.sample(sorted(tenants), most) if len(tenants) > most else tenants):
        names = tenants[tenant]
        some: list[Workload] = []
        for name in names[: int(TENANCY_NAMESPACES.value)]:
            near = [one for one in workloads if one.namespace == name and not one.pod_spec.get("hostNetwork")]
            some += near[: int(TENANCY_WORKLOADS.value)]
        found[tenant] = some
    return found


def _between(actors: Sequence[StandIn], tenant_of: Mapping[str, str], policy: Policy) -> list[Flow]:
    flows = []
    for one in actors:
        for other in actors:
            source, target = tenant_of[one.workload.name], tenant_of[other.workload.name]
            if source != target and not _declared(source, target, policy):
                flows += [one.flow(other), one.datagram(other)]
    return flows


def _declared(source: str, target: str, policy: Policy) -> bool:
    return any(
        fnmatch.fnmatchcase(source, one) and fnmatch.fnmatchcase(target, other)
        for one, other in policy.subjects.tenant_flows
    )


def _to_kubelet(one: StandIn, inventory: Reader) -> list[Flow]:
    """To the kubelet of one node other than the stand-in's own, which every pod reaches by Kubernetes' own rule."""
    for node in map(Node, inventory.objects("nodes")):
        hosts = [str(entry["address"]) for entry in node.raw["status"]["addresses"] if entry["type"] == "InternalIP"]
        if node.ready and hosts and node.short_name != one.post.node:
            name = f"{one.workload.name} to the kubelet of another node"
            return [Flow(name, one.post, ("tcp", endpoint(hosts[0], KUBELET)))]
    return []


def _to_metadata(one: StandIn) -> Flow:
    return Flow(f"{one.workload.name} to {METADATA}:80", one.post, ("tcp", f"{METADATA}:80"))
