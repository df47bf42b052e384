"""Vitals as a sidecar of another application, rendered by kubectl as in docs/companion.md."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.image.stack import run
from tests.support.pages import shown
from tests.support.service import ROOT
from tests.system.test_kubernetes import NEWEST, validate


SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - name: shop
          image: shop:1
          readinessProbe: {httpGet: {path: /, port: 8080}}
"""


@pytest.fixture(name="rendered")
def _rendered(tmp_path: Path) -> str:
    """What kubectl renders in the folder of the application."""
    (block,) = shown("docs/companion.md", "Kubernetes")
    (tmp_path / "kustomization.yaml").write_text(block.text)
    (tmp_path / "deployment.yaml").write_text(SHOP)
    (tmp_path / "checks.toml").touch()
    (tmp_path / "db_password").touch()
    shutil.copytree(ROOT / "deploy/companion", tmp_path / "vitals/deploy/companion")
    return run("kubectl", "kustomize", tmp_path)


@pytest.mark.parametrize("version", NEWEST)
def test_the_newest_kubernetes_versions_accept_it(
    rendered: str, tmp_path: Path, version: str
) -> None:
    done = validate(rendered, version, tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_application_keeps_its_container_and_its_probe(rendered: str) -> None:
    """Vitals has the three probes, each with its path, and the generated names."""
    objects = {item["kind"]: item for item in yaml.safe_load_all(rendered)}
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    containers: dict[str, Any] = {one["name"]: one for one in pod["containers"]}
    assert containers["shop"] == yaml.safe_load(SHOP)["spec"]["template"]["spec"]["containers"][0]
    vitals = containers["vitals"]
    assert vitals["image"] == "registry.example.com/vitals:1.2.3"
    paths = [
        vitals[f"{one}Probe"]["httpGet"]["path"] for one in ("startup", "liveness", "readiness")
    ]
    assert paths == ["/health/started", "/health/live", "/health/ready"]
    sources = [pod["volumes"][0]["configMap"]["name"], pod["volumes"][1]["secret"]["secretName"]]
    assert sources == [objects[kind]["metadata"]["name"] for kind in ("ConfigMap", "Secret")]
