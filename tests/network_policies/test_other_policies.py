"""What is decided of Cilium's, Calico's and the cluster-wide policies, and what is left undecided."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.network_policies import Endpoint, Undecidable
from fixtures.network_policies.admin import policies as admin
from fixtures.network_policies.calico import policies as calico
from fixtures.network_policies.cilium import policies as cilium

Raw = dict[str, Any]
WEB = Endpoint("shop", {"app": "web"}, {"team": "a"})


def policy(read: Any, kind: str, spec: Raw, namespace: str = "") -> Any:
    [found] = read(({"kind": kind, "metadata": {"name": "p", "namespace": namespace}, "spec": spec},))
    return found


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({"ingress": [{}]}, True, False),
        ({"ingress": []}, False, False),
        ({"ingressDeny": [{"fromEntities": ["world"]}]}, True, False),
        ({"egress": [{}], "enableDefaultDeny": {"egress": False}}, False, False),
        ({"enableDefaultDeny": {"ingress": True, "egress": True}}, True, True),
    ],
)
def test_cilium_default_deny(spec: Raw, ingress: bool, egress: bool) -> None:
    found = policy(cilium, "CiliumClusterwideNetworkPolicy", {"endpointSelector": {}, **spec})

    assert (found.isolates("ingress"), found.isolates("egress")) == (ingress, egress)


@pytest.mark.parametrize(
    ("rule", "opens"),
    [
        ({}, False),
        ({"fromEntities": ["all"]}, True),
        ({"fromEntities": ["cluster"]}, False),
        ({"fromEntities": ["all"], "toPorts": [{"ports": [{"port": "80"}]}]}, False),
        ({"fromCIDR": ["0.0.0.0/0"]}, True),
        ({"fromCIDRSet": [{"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}]}, False),
        ({"fromEndpoints": []}, False),
        ({"authentication": {"mode": "required"}}, True),
    ],
)
def test_cilium_rule_that_opens_everything(rule: Raw, opens: bool) -> None:
    found = policy(cilium, "CiliumNetworkPolicy", {"endpointSelector": {}, "ingress": [rule]}, "shop")

    assert bool(found.opening("ingress")) == opens


@pytest.mark.parametrize(
    ("selector", "one", "every"),
    [
        ({}, True, True),
        ({"matchLabels": {"k8s:app": "web"}}, True, False),
        ({"matchLabels": {"app": "db"}}, False, False),
        ({"matchLabels": {"k8s:io.kubernetes.pod.namespace": "shop"}}, True, True),
        ({"matchLabels": {"io.cilium.k8s.namespace.labels.team": "b"}}, False, False),
        (
            {"matchExpressions": [{"key": "io.kubernetes.pod.namespace", "operator": "NotIn", "values": ["pay"]}]},
            True,
            True,
        ),
    ],
)
def test_cilium_selector(selector: Raw, one: bool, every: bool) -> None:
    found = policy(cilium, "CiliumClusterwideNetworkPolicy", {"endpointSelector": selector, "ingress": [{}]})

    assert (found.selects(WEB), found.selects_all("shop", {"team": "a"})) == (one, every)


def test_cilium_namespaced_policy_stays_in_its_namespace() -> None:
    found = policy(cilium, "CiliumNetworkPolicy", {"endpointSelector": {}, "ingress": [{}]}, "pay")

    assert not found.selects(WEB)
    assert not found.selects_all("shop", {})


def test_cilium_policy_for_nodes_is_left_out() -> None:
    raw = {
        "kind": "CiliumClusterwideNetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {"nodeSelector": {}, "ingress": [{}]},
    }

    assert list(cilium((raw,))) == []


def test_cilium_service_account_cannot_be_decided() -> None:
    selector = {"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "web"}}
    found = policy(cilium, "CiliumNetworkPolicy", {"endpointSelector": selector, "ingress": [{}]}, "shop")

    with pytest.raises(Undecidable, match="serviceaccount"):
        found.selects(WEB)


@pytest.mark.parametrize(
    ("selector", "one", "every"),
    [
        ("", True, True),
        ("all()", True, True),
        ("app == 'web'", True, False),
        ('app == "db"', False, False),
        ("app != 'db'", True, False),
        ("has(app) && app in {'web', 'db'}", True, False),
        ("!has(tier)", True, False),
        ("app not in {'web'}", False, False),
        ("has(projectcalico.org/namespace)", True, True),
        ("projectcalico.org/namespace not in {'kube-system'}", True, True),
    ],
)
def test_calico_selector(selector: str, one: bool, every: bool) -> None:
    found = policy(calico, "GlobalNetworkPolicy", {"selector": selector, "types": ["Ingress", "Egress"]})

    assert (found.selects(WEB), found.selects_all("shop", {})) == (one, every)


@pytest.mark.parametrize(
    ("namespaces", "reached"),
    [
        ("all()", True),
        ("team == 'a'", True),
        ("team == 'b'", False),
        ("projectcalico.org/name == 'shop'", True),
        ("global()", False),
    ],
)
def test_calico_namespace_selector(namespaces: str, reached: bool) -> None:
    found = policy(calico, "GlobalNetworkPolicy", {"namespaceSelector": namespaces, "types": ["Ingress"]})

    assert found.selects(WEB) == reached


@pytest.mark.parametrize("spec", [{"selector": "app == 'a' || app == 'b'"}, {"serviceAccountSelector": "role == 'x'"}])
def test_calico_selector_that_cannot_be_decided(spec: Raw) -> None:
    with pytest.raises(Undecidable):
        policy(calico, "GlobalNetworkPolicy", spec).selects(WEB)


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ("ingress",)),
        ({"egress": [{"action": "Deny"}]}, ("egress",)),
        ({"ingress": [{"action": "Deny"}], "egress": [{"action": "Deny"}]}, ("ingress", "egress")),
        ({"types": ["Egress"], "ingress": [{"action": "Allow"}]}, ("egress",)),
    ],
)
def test_calico_types_default_as_documented(spec: Raw, types: tuple[str, ...]) -> None:
    found = policy(calico, "NetworkPolicy", spec, "shop")

    assert tuple(one for one in ("ingress", "egress") if found.isolates(one)) == types


def test_calico_pass_cannot_be_decided() -> None:
    with pytest.raises(Undecidable, match="next tier"):
        policy(calico, "NetworkPolicy", {"ingress": [{"action": "Pass"}]}, "shop").isolates("ingress")


@pytest.mark.parametrize(
    ("rules", "opens"),
    [
        ([{"action": "Allow"}], True),
        ([{"action": "Log"}, {"action": "Allow", "source": {"nets": ["0.0.0.0/0"]}}], True),
        ([{"action": "Deny", "source": {"nets": ["10.0.0.0/8"]}}, {"action": "Allow"}], False),
        ([{"action": "Allow", "protocol": "TCP"}], False),
        ([{"action": "Allow", "destination": {"ports": [443]}}], False),
        ([{"action": "Allow", "source": {"selector": "app == 'web'"}}], False),
    ],
)
def test_calico_rule_that_opens_everything(rules: list[Raw], opens: bool) -> None:
    found = policy(calico, "NetworkPolicy", {"types": ["Ingress"], "ingress": rules}, "shop")

    assert bool(found.opening("ingress")) == opens


def test_calico_policy_for_hosts_is_left_out() -> None:
    assert list(calico(({"kind": "GlobalNetworkPolicy", "metadata": {"name": "p"}, "spec": {"preDNAT": True}},))) == []


EVERY_POD: Raw = {"namespaces": {}}
OUTSIDE = {"networks": ["0.0.0.0/0"]}


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({"ingress": [{"action": "Deny", "from": [EVERY_POD]}]}, True, False),
        ({"ingress": [{"action": "Deny", "from": [EVERY_POD], "ports": [{"portNumber": {"port": 80}}]}]}, False, False),
        (
            {"ingress": [{"action": "Allow", "from": [EVERY_POD]}, {"action": "Deny", "from": [EVERY_POD]}]},
            False,
            False,
        ),
        ({"egress": [{"action": "Deny", "to": [EVERY_POD]}]}, False, False),
        ({"egress": [{"action": "Deny", "to": [EVERY_POD, OUTSIDE]}]}, False, True),
        (
            {"ingress": [{"action": "Deny", "from": [{"pods": {"namespaceSelector": {}, "podSelector": {}}}]}]},
            True,
            False,
        ),
    ],
)
def test_admin_default_deny(spec: Raw, ingress: bool, egress: bool) -> None:
    found = policy(admin, "BaselineAdminNetworkPolicy", {"subject": {"namespaces": {}}, **spec})

    assert (found.isolates("ingress"), found.isolates("egress")) == (ingress, egress)


def test_admin_allow_of_everything_opens() -> None:
    spec = {"subject": {"namespaces": {}}, "ingress": [{"action": "Allow", "from": [EVERY_POD]}]}

    assert policy(admin, "AdminNetworkPolicy", spec).opening("ingress") == "spec.ingress[0]"


@pytest.mark.parametrize(
    ("subject", "one", "every"),
    [
        ({"namespaces": {}}, True, True),
        ({"namespaces": {"matchLabels": {"team": "b"}}}, False, False),
        ({"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}}, True, False),
        ({"pods": {"namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": {}}}, True, True),
    ],
)
def test_admin_subject(subject: Raw, one: bool, every: bool) -> None:
    found = policy(admin, "AdminNetworkPolicy", {"subject": subject})

    assert (found.selects(WEB), found.selects_all("shop", {"team": "a"})) == (one, every)
