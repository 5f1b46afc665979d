"""The tiers of an application reach each other as declared, by the policies that are there, and not otherwise."""

from __future__ import annotations

from fixtures.lab import Workbench
from fixtures.lab.flows import Flow, await_flows, baseline
from fixtures.lab.rehearsal import POLICIES, USES, rehearsal
from fixtures.limits import POLICY_EFFECT
from fixtures.network_policies import WORLD_READS, world
from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.subjects import Reader, WholeCluster, all_workloads

LOOK = "kubectl get networkpolicies -A -o yaml"


@readiness(
    "network-policy.explicit-allow-chain",
    severity="high",
    needs=("pods", "traffic"),
    reads=WORLD_READS,
    consent="probes",
    uses=USES,
)
def test_tiers_reach_each_other_only_as_declared(
    cluster: WholeCluster, findings: Findings, inventory: Reader, lab: Workbench, policy: Policy
) -> None:
    """Tiers reach each other as declared (frontend, backend, database), and not else.

    Why: An open way from the frontend to the database makes the backend's checks optional; a missing one is an outage.
    How: The flows are pairs of workloads in subjects.tier_flows ("shop/web", "shop/api"). Each workload gets a stand-in with
        its labels and its first TCP port, in a namespace with the labels of its own; all reach each other. Then the
        NetworkPolicies of the real namespaces are copied there, and within 30 s each ordered pair of tiers is open on that
        port if it is declared, and closed if not. No packet goes to the real workloads.
    Fix: Narrow or add the allow rules of the pairs that are named.
    Does not prove: Other ports than the first, flows from outside of the cluster, and policies of other kinds than
        NetworkPolicy that belong to a namespace, which are not copied.
    """
    declared = policy.subjects.tier_flows
    if not declared:
        findings.not_applicable("the policy file names no tiers (subjects.tier_flows)")
    named = list(dict.fromkeys(name for pair in declared for name in pair))
    known = {f"{one.namespace}/{one.short_name}": one for one in inventory.derive(all_workloads)}
    if missing := [name for name in named if name not in known]:
        findings.inconclusive(f"subjects.tier_flows names workloads that are not there: {', '.join(missing)}")
    here = inventory.derive(world)
    limit = policy.limit(POLICY_EFFECT)
    with rehearsal(lab, here, [known[name] for name in named]) as stage:
        actors = dict(zip(named, stage.actors, strict=True))
        wanted: dict[Flow, bool] = {
            actors[one].flow(actors[other]): (one, other) in declared
            for one in named
            for other in named
            if one != other
        }
        baseline(findings, list(wanted))
        stage.apply(inventory.objects(POLICIES))
        outcome = await_flows(wanted, limit)
    for one, open_ in wanted.items():
        findings.expect(
            one not in outcome.wrong,
            one,
            expected="open, as declared" if open_ else "closed, since it is not declared",
            observed=f"closed ({outcome.wrong.get(one, '')})" if open_ else "open",
            look=LOOK,
        )
    if not outcome.wrong:
        findings.measure("in effect after", outcome.seconds, "s", limit)
