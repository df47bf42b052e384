"""Tests the fields of the manifests that kubectl renders from deploy/kubernetes."""

from urllib.parse import urlsplit

from tests.repository.deploy.overlay import Overlay


NAME = {"app.kubernetes.io/name": "vitals"}
PORTS = {"postgresql": 5432, "redis": 6379}


def test_each_probe_uses_its_endpoint(overlay: Overlay) -> None:
    """All probes use the port that the service listens on."""
    probes = {
        name: overlay.container[f"{name}Probe"]["httpGet"]
        for name in ("startup", "liveness", "readiness")
    }
    assert {name: get["path"] for name, get in probes.items()} == {
        "startup": "/health/started",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {get["port"] for get in probes.values()} == {"http"}
    assert overlay.container["ports"] == [{"name": "http", "containerPort": 8000}]


def test_pods_meet_the_restricted_security_standard(overlay: Overlay) -> None:
    """The namespace enforces the standard, and the root file system is read-only."""
    labels = overlay["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod, container = overlay.pod["securityContext"], overlay.container["securityContext"]
    assert pod == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert not [name for name in overlay.pod if name.startswith("host")]
    assert {tuple(volume)[-1] for volume in overlay.pod["volumes"]} <= {
        "secret",
        "emptyDir",
        "name",
    }
    assert not overlay.pod["automountServiceAccountToken"]
    assert not overlay["ServiceAccount"]["automountServiceAccountToken"]
    assert not overlay.pod["enableServiceLinks"]


def test_a_rotated_secret_reaches_the_container(overlay: Overlay) -> None:
    """The whole secret is mounted as a folder with a constant name, readable by the group."""
    mounts = {mount["name"]: mount for mount in overlay.container["volumeMounts"]}
    assert mounts["secrets"] == {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True}
    volumes = {volume["name"]: volume for volume in overlay.pod["volumes"]}
    assert volumes["secrets"]["secret"] == {"secretName": "vitals", "defaultMode": 0o440}
    assert mounts["tmp"]["mountPath"] == "/tmp"  # noqa: S108
    assert volumes["tmp"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}


def test_cpu_has_a_request_and_no_limit(overlay: Overlay) -> None:
    """Throttling would delay answers. The memory limit exceeds the usage under a flood."""
    resources = overlay.container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"] == {"memory": "256Mi"}


def test_a_rolling_update_removes_no_pod_first(overlay: Overlay) -> None:
    """Only the autoscaler sets the number of replicas."""
    spec = overlay["Deployment"]["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert "replicas" not in spec
    scaled = overlay["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": overlay["Deployment"]["metadata"]["name"],
    }
    assert 0 < scaled["minReplicas"] < scaled["maxReplicas"]


def test_nodes_can_be_drained_while_a_database_is_down(overlay: Overlay) -> None:
    """Pods that are not ready can be evicted, and a single replica too."""
    budget = overlay["PodDisruptionBudget"]["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["maxUnavailable"] == 1


def test_replicas_are_spread_over_zones_and_nodes(overlay: Overlay) -> None:
    """Both constraints select the pods of the service."""
    spread = overlay.pod["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in spread] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert [constraint["labelSelector"]["matchLabels"] for constraint in spread] == [NAME, NAME]


def test_all_selectors_match_the_pods(overlay: Overlay) -> None:
    """Overlays don't change the label, because the selector of a Deployment is immutable."""
    labels = overlay["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        overlay["Deployment"]["spec"]["selector"]["matchLabels"],
        overlay["Service"]["spec"]["selector"],
        overlay["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        overlay["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert selectors == [NAME] * 4
    assert labels.items() >= NAME.items()
    assert labels["app.kubernetes.io/instance"] == overlay.name
    assert overlay["Service"]["spec"]["ports"][0]["targetPort"] == "http"


def test_the_network_policy_allows_only_dns_and_the_stores(overlay: Overlay) -> None:
    """Egress uses the ports in the settings; ingress is limited to the HTTP port."""
    policy = overlay["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    allowed = {
        (port["protocol"], port["port"])
        for rule in policy["egress"]
        for port in rule["ports"]
        if rule["to"]
    }
    urls = [urlsplit(overlay.given[name]) for name in ("DATABASE_URL", "REDIS_URL")]
    stores = {("TCP", url.port or PORTS[url.scheme]) for url in urls}
    assert allowed == {("UDP", 53), ("TCP", 53)} | stores
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert rule["from"]
