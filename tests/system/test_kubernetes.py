"""What kubectl makes of deploy/kubernetes, field by field."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes_validate.utils import all_versions

from app.settings import Settings, load
from tests.deploy.kubernetes import rules
from tests.deploy.located import where
from tests.deploy.promises import read
from tests.image.stack import run
from tests.service import ROOT


FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = ["staging", "production"]
# It names each twice: there are strict schemas and others.
NEWEST = list(dict.fromkeys(all_versions()))[-4:]
NAME = {"app.kubernetes.io/name": "vitals"}
PORTS = {"postgresql": 5432, "redis": 6379}


class Overlay:
    """One of the overlays, rendered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.file = FOLDER / "overlays" / name / "kustomization.yaml"
        self.text = run("kubectl", "kustomize", self.file.parent)
        self.objects = list(yaml.safe_load_all(self.text))

    def __getitem__(self, kind: str) -> Any:
        """The one object of a kind."""
        (found,) = (known for known in self.objects if known["kind"] == kind)
        return found

    @property
    def pod(self) -> Any:
        """What each pod is to be."""
        return self["Deployment"]["spec"]["template"]["spec"]

    @property
    def container(self) -> Any:
        """The one container of a pod."""
        (container,) = self.pod["containers"]
        return container

    @property
    def given(self) -> dict[str, str]:
        """The variables of the container; its own go before those of the map."""
        own = {entry["name"]: entry["value"] for entry in self.container["env"]}
        return {**self["ConfigMap"]["data"], **own}


@pytest.fixture(name="overlay", scope="module", params=OVERLAYS)
def _overlay(request: pytest.FixtureRequest) -> Overlay:
    return Overlay(request.param)


def validated(text: str, version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Have manifests judged by the schemas of a version of Kubernetes."""
    (folder / "rendered.yaml").write_text(text)
    validate = Path(sys.executable).with_name("kubernetes-validate")
    command = (validate, "--strict", "-k", version, folder / "rendered.yaml")
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", NEWEST)
def test_the_newest_kubernetes_accept_all_of_it(tmp_path: Path, version: str) -> None:
    """No field is unknown to the four newest versions whose schemas are installed."""
    overlays = [Overlay(name) for name in OVERLAYS]
    judged = validated("---\n".join(overlay.text for overlay in overlays), version, tmp_path)
    assert judged.returncode == 0, judged.stdout
    assert judged.stdout.count(" passed ") == sum(len(overlay.objects) for overlay in overlays)


def test_a_field_that_is_mistyped_is_not_accepted(tmp_path: Path) -> None:
    """Which the API server would drop, with a warning."""
    mistyped = Overlay(OVERLAYS[0]).text.replace("periodSeconds", "periodSecond")
    judged = validated(mistyped, NEWEST[-1], tmp_path)
    assert judged.returncode
    assert "'periodSecond' was unexpected" in judged.stdout


def test_there_is_one_of_each_and_no_secret(overlay: Overlay) -> None:
    """Secrets are made where they are known, and not from the repository."""
    assert sorted(known["kind"] for known in overlay.objects) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ]
    namespaces = {known["metadata"].get("namespace") for known in overlay.objects[1:]}
    assert namespaces == {f"vitals-{overlay.name}"} == {overlay["Namespace"]["metadata"]["name"]}


def test_the_service_accepts_its_settings(
    overlay: Overlay, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It would start with them; the secrets are there, by the names that it looks for."""
    (tmp_path / "jwt_secret").write_text("x" * 32)
    for name, value in overlay.given.items():
        assert name.lower() in Settings.model_fields
        environ.setenv(name, value)
    assert load().drain_seconds == 15


def test_its_times_fit_together(overlay: Overlay, environ: pytest.MonkeyPatch) -> None:
    """With what an overlay changes; what does not fit is told with where it comes from."""
    del environ
    settings = read(overlay.given)
    base = FOLDER / "base/deployment.yaml"
    ours = where(overlay.file, "configMapGenerator", "vitals", "literals")
    broken = [
        f"{where(base, *rule.path)}, or {ours}: {rule.words}"
        for rule in rules(overlay["Deployment"], settings)
        if not rule.holds
    ]
    assert broken == []


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


def test_a_file_that_is_missing_fails_in_one_line(tmp_path: Path) -> None:
    """Which names it, and what wants it."""
    run("cp", "-r", FOLDER, tmp_path / "kubernetes")
    (tmp_path / "kubernetes/base/service.yaml").unlink()
    command = ("kubectl", "kustomize", tmp_path / "kubernetes/overlays/staging")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode
    assert "service.yaml" in failed.stderr
