"""Validates the manifests that kubectl renders from deploy/kubernetes."""

import re
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
import yaml
from kubernetes_validate.utils import all_versions

from app.settings import Settings, load
from app.settings.secrets import SECRETS
from tests.image.stack import run
from tests.repository.deploy.kubernetes import rules
from tests.repository.deploy.overlay import FOLDER, OVERLAYS, Overlay
from tests.repository.deploy.rules import broken, read
from tests.support.pages import shown


# Each version is listed twice, with strict and with other schemas.
NEWEST = list(dict.fromkeys(all_versions()))[-4:]


def validate(text: str, version: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Validate manifests with the strict schemas of a Kubernetes version."""
    (folder / "rendered.yaml").write_text(text)
    program = Path(sys.executable).with_name("kubernetes-validate")
    command = (program, "--strict", "-k", version, folder / "rendered.yaml")
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", NEWEST)
def test_the_newest_kubernetes_versions_accept_the_manifests(tmp_path: Path, version: str) -> None:
    """The four newest versions with installed schemas know every field."""
    overlays = [Overlay(name) for name in OVERLAYS]
    done = validate("---\n".join(overlay.text for overlay in overlays), version, tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" passed ") == sum(len(overlay.objects) for overlay in overlays)


def test_a_mistyped_field_is_rejected(tmp_path: Path) -> None:
    """The API server would drop the field with a warning."""
    mistyped = Overlay(OVERLAYS[0]).text.replace("periodSeconds", "periodSecond")
    done = validate(mistyped, NEWEST[-1], tmp_path)
    assert done.returncode
    assert "'periodSecond' was unexpected" in done.stdout


def test_each_overlay_has_one_object_per_kind_and_no_secret(overlay: Overlay) -> None:
    """Secrets are created on the cluster, not from the repository."""
    assert sorted(item["kind"] for item in overlay.objects) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ]
    namespaces = {item["metadata"].get("namespace") for item in overlay.objects[1:]}
    assert namespaces == {f"vitals-{overlay.name}"} == {overlay["Namespace"]["metadata"]["name"]}


def test_the_service_accepts_its_settings(
    overlay: Overlay, environ: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They load without an error, and the secrets have the expected names."""
    (tmp_path / "jwt_secret").write_text("x" * 32)
    for name, value in overlay.given.items():
        assert name.lower() in Settings.model_fields
        environ.setenv(name, value)
    assert load().drain_seconds == 15


def test_the_command_in_the_docs_creates_the_secret(overlay: Overlay, tmp_path: Path) -> None:
    """It has the name that is mounted, and a key for each file that the service reads."""
    (block,) = shown("docs/kubernetes.md", "Deploy")
    (command,) = re.findall(r"^kubectl create secret (?:.*\\\n)+", block.text, re.MULTILINE)
    (tmp_path / "secrets").mkdir()
    names = re.findall(r"secrets/(\w+).txt", command)
    for name in names:
        (tmp_path / f"secrets/{name}.txt").write_text(f"of {name}")
    manifest = run("sh", "-c", command.rstrip("\\\n"), cwd=tmp_path)
    assert validate(manifest, NEWEST[-1], tmp_path).returncode == 0
    secret = yaml.safe_load(manifest)
    volumes = [volume["secret"] for volume in overlay.pod["volumes"] if "secret" in volume]
    assert [volume["secretName"] for volume in volumes] == [secret["metadata"]["name"]]
    assert {name: b64decode(value).decode() for name, value in secret["data"].items()} == {
        name: f"of {name}" for name in names
    }
    assert set(names) == {"postgres_password", "redis_password", "jwt_secret"} <= set(SECRETS)


def test_the_probe_times_are_consistent(overlay: Overlay, environ: pytest.MonkeyPatch) -> None:
    """This includes the settings of the overlay."""
    del environ
    assert broken(rules(overlay["Deployment"], read(overlay.given))) == []


def test_a_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    """The command `kubectl` fails, and its error names the file."""
    run("cp", "-r", FOLDER, tmp_path / "kubernetes")
    (tmp_path / "kubernetes/base/service.yaml").unlink()
    command = ("kubectl", "kustomize", tmp_path / "kubernetes/overlays/staging")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode
    assert "service.yaml" in failed.stderr
