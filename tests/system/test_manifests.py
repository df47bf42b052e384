"""What kubectl makes of deploy/kubernetes, field by field."""

from urllib.parse import urlsplit

from tests.deploy.overlay import Overlay


NAME = {"app.kubernetes.io/name": "vitals"}
PORTS = {"postgresql": 5432, "redis": 6379}


def test_each_probe_asks_what_it_is_for(overlay: Overlay) -> None:
    """On the port that the service listens on."""
    asked = {
        name: overlay.container[f"{name}Probe"]["httpGet"]
        for name in ("startup", "liveness", "readiness")
    }
    assert {name: get["path"] for name, get in asked.items()} == {
        "startup": "/health/started",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    assert {get["port"] for get in asked.values()} == {"http"}
    assert overlay.container["ports"] == [{"name": "http", "containerPort": 8000}]


def test_it_is_restricted(overlay: Overlay) -> None:
    """As the Pod Security Standard has it, which its namespace enforces; its root is read-only."""
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


def test_a_rotated_secret_reaches_it(overlay: Overlay) -> None:
    """The whole folder is mounted, under a name that does not change, readable by its group."""
    mounts = {mount["name"]: mount for mount in overlay.container["volumeMounts"]}
    assert mounts["secrets"] == {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True}
    volumes = {volume["name"]: volume for volume in overlay.pod["volumes"]}
    assert volumes["secrets"]["secret"] == {"secretName": "vitals", "defaultMode": 0o440}
    assert mounts["tmp"]["mountPath"] == "/tmp"  # noqa: S108
    assert volumes["tmp"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}


def test_it_has_requests_and_no_limit_of_cpu(overlay: Overlay) -> None:
    """What a limit holds up would come too late; memory is bounded, above what a flood takes."""
    resources = overlay.container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"] == {"memory": "256Mi"}


def test_an_update_takes_none_away_first(overlay: Overlay) -> None:
    """And the autoscaler alone says how many there are."""
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


def test_nodes_can_be_emptied_while_a_database_is_down(overlay: Overlay) -> None:
    """When no pod is ready, and with one replica too."""
    budget = overlay["PodDisruptionBudget"]["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["maxUnavailable"] == 1


def test_replicas_are_spread(overlay: Overlay) -> None:
    """Over zones and nodes."""
    spread = overlay.pod["topologySpreadConstraints"]
    assert [constraint["topologyKey"] for constraint in spread] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert [constraint["labelSelector"]["matchLabels"] for constraint in spread] == [NAME, NAME]


def test_whoever_selects_pods_finds_them(overlay: Overlay) -> None:
    """By a label that no overlay changes, because a Deployment's selector never may."""
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


def test_it_reaches_names_and_its_stores_and_nothing_else(overlay: Overlay) -> None:
    """On the ports that its settings name; and it is reached on its own port alone."""
    policy = overlay["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    reached = {
        (port["protocol"], port["port"])
        for rule in policy["egress"]
        for port in rule["ports"]
        if rule["to"]
    }
    urls = [urlsplit(overlay.given[name]) for name in ("DATABASE_URL", "REDIS_URL")]
    stores = {("TCP", url.port or PORTS[url.scheme]) for url in urls}
    assert reached == {("UDP", 53), ("TCP", 53)} | stores
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert rule["from"]
