"""Who is killed first when a node runs out of memory."""

from __future__ import annotations

from fixtures.policy import Policy
from fixtures.readiness import Findings, readiness
from fixtures.resources import limit_range_defaults, qos_classes
from fixtures.subjects import Reader, Workload

READS = ("limitranges",)
GUARANTEED = "Guaranteed"


@readiness("workloads.qos-guaranteed", severity="medium", reads=READS)
def test_declared_workloads_are_guaranteed(
    guaranteed_workload: Workload, findings: Findings, inventory: Reader
) -> None:
    """Every workload declared guaranteed runs with Guaranteed quality of service.

    Why: one injected sidecar without limits turns a Guaranteed pod into a Burstable one, unnoticed.
    How: status.qosClass of the live pods of the workloads that the policy file names under subjects.guaranteed; where
    no pod lives, the class that the template will have. Guaranteed means that requests equal limits for CPU and
    memory on every container and init container, or on the pod as a whole.
    Fix: set requests equal to limits on all containers, those of injected sidecars too.
    Does not prove: that the limits are large enough.
    """
    expect_class(guaranteed_workload, findings, inventory, GUARANTEED)


@readiness("workloads.qos-burstable", severity="low", reads=READS)
def test_critical_workloads_are_not_burstable(
    critical_workload: Workload, findings: Findings, inventory: Reader, policy: Policy
) -> None:
    """Pods that may be squeezed belong to workloads that may be squeezed.

    Why: a Burstable pod is evicted, or killed for want of memory, before a Guaranteed one.
    How: status.qosClass of the live pods of the workloads that the policy file names under subjects.critical is
    neither Burstable nor BestEffort; where no pod lives, the class that the template will have.
    Fix: raise the requests of critical workloads to their limits.
    Does not prove: that the list names every critical workload.
    """
    if not policy.subjects.critical:
        findings.not_applicable("the policy file declares no critical workload (subjects.critical)")
    expect_class(critical_workload, findings, inventory, GUARANTEED)


@readiness("workloads.no-best-effort", severity="high", reads=READS)
def test_no_pod_is_best_effort(workload: Workload, findings: Findings, inventory: Reader) -> None:
    """No pod is BestEffort, the class that is killed first.

    Why: a pod without any request is placed on full nodes and is the first to go when one runs short.
    How: status.qosClass of the live pods, else the class that the template and the namespace's LimitRange give.
    Fix: set requests and limits, or give the namespace a LimitRange.
    Does not prove: that the requests fit what the program uses.
    """
    expect_class(workload, findings, inventory, "Burstable", GUARANTEED)


@readiness("workloads.stateful-sets-guaranteed", severity="high", reads=READS)
def test_stateful_sets_are_guaranteed(stateful_set: Workload, findings: Findings, inventory: Reader) -> None:
    """Stateful workloads such as databases run with Guaranteed quality of service.

    Why: a database killed for want of memory replays its log while everything waits.
    How: status.qosClass of the live pods of each StatefulSet; where no pod lives, the class that the template will
    have.
    Fix: set requests equal to limits on all containers of the StatefulSet's template.
    Does not prove: that the limits are large enough.
    """
    expect_class(stateful_set, findings, inventory, GUARANTEED)


@readiness("workloads.prometheus-guaranteed", severity="medium", reads=READS)
def test_prometheus_is_guaranteed(prometheus: Workload, findings: Findings, inventory: Reader) -> None:
    """Prometheus runs with Guaranteed quality of service.

    Why: monitoring that dies when memory runs short is blind just then.
    How: status.qosClass of the live pods of workloads labelled app.kubernetes.io/name=prometheus or with an image of
    that name, config reloader and Thanos sidecar included; where no pod lives, the class that the template will have.
    Fix: set `resources` of the Prometheus and of its reloader and sidecar with requests equal to limits.
    Does not prove: that the memory lasts for the series it holds.
    """
    expect_class(prometheus, findings, inventory, GUARANTEED)


@readiness("workloads.control-plane-guaranteed", severity="medium", reads=READS)
def test_the_control_plane_is_guaranteed(control_plane: Workload, findings: Findings, inventory: Reader) -> None:
    """The control plane and the cluster's DNS run with Guaranteed quality of service.

    Why: kubeadm gives them a CPU request only, so that etcd may be killed before an application.
    How: status.qosClass of the pods of kube-system whose label component is kube-apiserver, etcd,
    kube-controller-manager or kube-scheduler, or whose label k8s-app is kube-dns.
    Fix: patch the static pods' manifests with equal requests and limits, or ask for a waiver with the reason.
    Does not prove: that the limits are large enough.
    """
    expect_class(control_plane, findings, inventory, GUARANTEED)


def expect_class(workload: Workload, findings: Findings, inventory: Reader, *classes: str) -> None:
    """Expect all pods of a workload, or its template where no pod lives, to be of one of the classes."""
    for name, pods in sorted(qos_classes(workload, inventory.derive(limit_range_defaults)).items()):
        at = f"{len(pods)} pods, such as {pods[0]}" if pods[0] else workload.pod_spec_path
        findings.expect(name in classes, at, expected=" or ".join(classes), observed=name)
