"""Strategies for objects that look like nobody's: any mix of optional fields that an API server might admit."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Raw = dict[str, Any]

NAMES = st.sampled_from(["a", "b", "web", "db"])
LABELS = st.dictionaries(
    st.sampled_from(["app", "tier", "k8s-app"]), st.sampled_from(["a", "b", "kube-dns"]), max_size=2
)
PORT = st.one_of(st.integers(1, 65535), st.sampled_from(["http", "metrics"]))
SHARE = st.one_of(st.integers(0, 5), st.sampled_from(["0%", "50%", "100%"]))
AMOUNT = st.sampled_from(["0", "1m", "50m", "1", "1.5", "64Mi", "1e3", "2Gi"])
SECONDS = st.integers(1, 600)
FLAG = st.booleans()


def some(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Raw]:
    """Mappings with any of the given keys."""
    return st.fixed_dictionaries({}, optional=optional)


SELECTOR = some(
    matchLabels=LABELS,
    matchExpressions=st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {"key": st.just("app"), "operator": st.sampled_from(["In", "NotIn"]), "values": st.just(["a", "b"])}
            ),
            st.fixed_dictionaries({"key": st.just("tier"), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
        ),
        max_size=2,
    ),
)
PROBE = st.builds(
    lambda how, more: {**how, **more},
    st.one_of(
        st.fixed_dictionaries({"httpGet": st.fixed_dictionaries({"port": PORT})}),
        st.fixed_dictionaries({"tcpSocket": st.fixed_dictionaries({"port": PORT})}),
        st.just({"exec": {"command": ["true"]}}),
        st.just({"grpc": {"port": 9000}}),
    ),
    some(
        periodSeconds=SECONDS, timeoutSeconds=SECONDS, failureThreshold=st.integers(1, 10), initialDelaySeconds=SECONDS
    ),
)
CONTEXT = some(
    privileged=FLAG,
    allowPrivilegeEscalation=FLAG,
    readOnlyRootFilesystem=FLAG,
    runAsNonRoot=FLAG,
    runAsUser=st.sampled_from([0, 1, 65534]),
    capabilities=some(add=st.just(["NET_ADMIN"]), drop=st.sampled_from([["ALL"], ["NET_RAW"], []])),
    seccompProfile=st.sampled_from([{"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "p.json"}]),
    procMount=st.sampled_from(["Default", "Unmasked"]),
)
RESOURCES = some(requests=some(cpu=AMOUNT, memory=AMOUNT), limits=some(cpu=AMOUNT, memory=AMOUNT))
CONTAINER = st.builds(
    lambda more: {"name": "main", "image": "registry.example/x", **more},
    some(
        securityContext=CONTEXT,
        resources=RESOURCES,
        livenessProbe=PROBE,
        readinessProbe=PROBE,
        startupProbe=PROBE,
        command=st.just(["crond", "-f"]),
        ports=st.lists(
            st.fixed_dictionaries({"containerPort": st.integers(1, 65535)}, optional={"name": st.just("http")}),
            max_size=1,
        ),
        volumeMounts=st.just([{"name": "data", "mountPath": "/data"}]),
    ),
)
INIT = st.builds(lambda one, more: {**one, "name": "first", **more}, CONTAINER, some(restartPolicy=st.just("Always")))
VOLUME = st.sampled_from(
    [
        {"name": "data", "emptyDir": {}},
        {"name": "data", "hostPath": {"path": "/var/log"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "data", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        {"name": "data", "configMap": {"name": "c"}},
    ]
)
POD = st.builds(
    lambda containers, more: {"containers": containers, **more},
    st.lists(CONTAINER, min_size=1, max_size=1),
    some(
        initContainers=st.lists(INIT, max_size=1),
        securityContext=some(
            runAsNonRoot=FLAG,
            runAsUser=st.sampled_from([0, 65532]),
            fsGroup=st.sampled_from([0, 1]),
            supplementalGroups=st.just([1]),
        ),
        volumes=st.lists(VOLUME, min_size=1, max_size=1),
        hostNetwork=FLAG,
        hostPID=FLAG,
        hostUsers=FLAG,
        os=st.sampled_from([{"name": "linux"}, {"name": "windows"}]),
        nodeSelector=LABELS,
        tolerations=st.sampled_from([[{"operator": "Exists"}], [{"key": "k", "operator": "Equal", "value": "v"}]]),
        automountServiceAccountToken=FLAG,
        serviceAccountName=st.just("default"),
        priorityClassName=st.just("system-node-critical"),
        topologySpreadConstraints=st.just(
            [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}]
        ),
    ),
)


def thing(version: str, kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Raw]:
    """Objects of a kind with these top-level fields, any labels and annotations."""
    head = st.builds(lambda name, labels: {"name": name, "labels": labels}, NAMES, LABELS)
    plain = {"apiVersion": st.just(version), "kind": st.just(kind), "metadata": head, **fields}
    return st.fixed_dictionaries(plain)


def controller(kind: str, **spec: st.SearchStrategy[Any]) -> st.SearchStrategy[Raw]:
    """Controllers of apps/v1 over pods with the label app=a."""
    return thing(
        "apps/v1",
        kind,
        spec=st.builds(
            lambda pod, more: {
                "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": "a"}}, "spec": pod},
                **more,
            },
            POD,
            some(**spec),
        ),
    )


JOB = st.builds(
    lambda pod, more: {"template": {"spec": {**pod, "restartPolicy": "Never"}}, **more},
    POD,
    some(backoffLimit=st.integers(0, 3), activeDeadlineSeconds=SECONDS),
)
PEER = st.one_of(
    st.fixed_dictionaries({"podSelector": SELECTOR}, optional={"namespaceSelector": SELECTOR}),
    st.just({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}),
)
NETWORK_PORT = some(protocol=st.sampled_from(["TCP", "UDP", "SCTP"]), port=PORT)
RULE = some(
    apiGroups=st.sampled_from([[""], ["*"], ["apps", "rbac.authorization.k8s.io"]]),
    resources=st.sampled_from([["*"], ["secrets"], ["pods/exec", "nodes/proxy"], ["*/scale"]]),
    verbs=st.sampled_from([["*"], ["get", "list"], ["create", "bind", "escalate", "impersonate"]]),
    resourceNames=st.just(["one"]),
    nonResourceURLs=st.just(["/metrics", "/healthz/*"]),
)
HOLDER = st.sampled_from(
    [
        {"kind": "ServiceAccount", "name": "a", "namespace": "default"},
        {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"},
    ]
)
RBAC = "rbac.authorization.k8s.io/v1"


def reference(kind: str) -> st.SearchStrategy[Raw]:
    """The roleRef of a binding."""
    return st.builds(lambda name: {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}, NAMES)


OBJECT = st.one_of(
    controller(
        "Deployment",
        replicas=st.integers(0, 5),
        strategy=st.one_of(
            st.just({"type": "Recreate"}),
            st.builds(
                lambda more: {"type": "RollingUpdate", "rollingUpdate": more},
                some(maxUnavailable=SHARE, maxSurge=SHARE),
            ),
        ),
    ),
    controller(
        "StatefulSet", replicas=st.integers(0, 3), serviceName=NAMES, updateStrategy=st.just({"type": "OnDelete"})
    ),
    controller("DaemonSet", updateStrategy=st.sampled_from([{"type": "OnDelete"}, {"type": "RollingUpdate"}])),
    thing("v1", "Pod", spec=POD),
    thing("batch/v1", "Job", spec=JOB),
    thing(
        "batch/v1",
        "CronJob",
        spec=st.builds(
            lambda job, schedule, more: {"jobTemplate": {"spec": job}, "schedule": schedule, **more},
            JOB,
            st.sampled_from(["* * * * *", "@daily", "0 0 29 2 *", "*/7 1-3 * * MON"]),
            some(suspend=FLAG, timeZone=st.sampled_from(["Etc/UTC", "Europe/Berlin"]), startingDeadlineSeconds=SECONDS),
        ),
    ),
    thing(
        "v1",
        "Service",
        spec=st.builds(
            lambda ports, more: {"ports": ports, **more},
            st.lists(
                st.fixed_dictionaries({"port": st.integers(1, 65535), "targetPort": PORT}), min_size=1, max_size=1
            ),
            some(
                selector=LABELS,
                type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
                externalIPs=st.just(["203.0.113.1"]),
            ),
        ),
    ),
    thing(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec=st.builds(
            lambda selector, more: {"podSelector": selector, **more},
            SELECTOR,
            some(
                policyTypes=st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
                ingress=st.lists(
                    some(**{"from": st.lists(PEER, max_size=2), "ports": st.lists(NETWORK_PORT, max_size=2)}),
                    max_size=2,
                ),
                egress=st.lists(
                    some(to=st.lists(PEER, max_size=2), ports=st.lists(NETWORK_PORT, max_size=2)), max_size=2
                ),
            ),
        ),
    ),
    thing(
        "policy/v1",
        "PodDisruptionBudget",
        spec=st.builds(
            lambda one, more: {**one, **more},
            st.one_of(
                st.builds(lambda v: {"minAvailable": v}, SHARE),
                st.builds(lambda v: {"maxUnavailable": v}, SHARE),
                st.just({}),
            ),
            some(selector=SELECTOR, unhealthyPodEvictionPolicy=st.just("AlwaysAllow")),
        ),
    ),
    thing(RBAC, "Role", rules=st.lists(RULE, max_size=2)),
    thing(RBAC, "ClusterRole", rules=st.lists(RULE, max_size=2)),
    thing(RBAC, "RoleBinding", roleRef=reference("Role"), subjects=st.lists(HOLDER, max_size=2)),
    thing(RBAC, "ClusterRoleBinding", roleRef=reference("ClusterRole"), subjects=st.lists(HOLDER, max_size=2)),
    thing("v1", "ServiceAccount", automountServiceAccountToken=FLAG),
    thing(
        "v1", "ResourceQuota", spec=some(hard=some(**{"requests.cpu": AMOUNT, "limits.memory": AMOUNT, "pods": AMOUNT}))
    ),
    thing("v1", "LimitRange", spec=st.just({"limits": [{"type": "Container", "default": {"cpu": "1"}}]})),
    thing("scheduling.k8s.io/v1", "PriorityClass", value=st.integers(-5, 5), globalDefault=FLAG),
    thing(
        "storage.k8s.io/v1",
        "StorageClass",
        provisioner=st.sampled_from(["ebs.csi.aws.com", "pd.csi.storage.gke.io", "example.com/x"]),
        parameters=st.dictionaries(st.sampled_from(["encrypted", "type"]), st.sampled_from(["true", "false", "gp3"])),
    ),
    thing(
        "v1",
        "Node",
        spec=some(unschedulable=FLAG, providerID=st.sampled_from(["aws:///z/i-1", "gce://p/z/n"])),
        status=some(
            capacity=some(cpu=AMOUNT, memory=AMOUNT),
            allocatable=some(cpu=AMOUNT),
            conditions=st.just([{"type": "Ready", "status": "Unknown"}]),
        ),
    ),
    thing(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec=st.builds(
            lambda low, name: {
                "minReplicas": low,
                "maxReplicas": 9,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            },
            st.integers(1, 3),
            NAMES,
        ),
    ),
)
"""Any one object. The API server decides which of them it admits."""
