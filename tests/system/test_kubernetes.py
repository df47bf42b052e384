"""What kubectl makes of deploy/kubernetes, and who accepts it."""

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
from tests.deploy.kubernetes import rules
from tests.deploy.located import where
from tests.deploy.overlay import FOLDER, OVERLAYS, Overlay
from tests.deploy.rules import read
from tests.image.stack import run
from tests.pages import shown


# It names each twice: there are strict schemas and others.
NEWEST = list(dict.fromkeys(all_versions()))[-4:]


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


def test_the_secret_is_made_as_the_docs_say(overlay: Overlay, tmp_path: Path) -> None:
    """Under the name that is mounted, with a key for each file that the service looks for."""
    (block,) = shown("docs/kubernetes.md", "Deploy")
    (command,) = re.findall(r"^kubectl create secret (?:.*\\\n)+", block.text, re.MULTILINE)
    (tmp_path / "secrets").mkdir()
    names = re.findall(r"secrets/(\w+).txt", command)
    for name in names:
        (tmp_path / f"secrets/{name}.txt").write_text(f"of {name}")
    made = run("sh", "-c", command.rstrip("\\\n"), cwd=tmp_path)
    assert validated(made, NEWEST[-1], tmp_path).returncode == 0
    secret = yaml.safe_load(made)
    volumes = [volume["secret"] for volume in overlay.pod["volumes"] if "secret" in volume]
    assert [volume["secretName"] for volume in volumes] == [secret["metadata"]["name"]]
    assert {name: b64decode(value).decode() for name, value in secret["data"].items()} == {
        name: f"of {name}" for name in names
    }
    assert set(names) == {"postgres_password", "redis_password", "jwt_secret"} <= set(SECRETS)


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


def test_a_file_that_is_missing_fails_in_one_line(tmp_path: Path) -> None:
    """Which names it, and what wants it."""
    run("cp", "-r", FOLDER, tmp_path / "kubernetes")
    (tmp_path / "kubernetes/base/service.yaml").unlink()
    command = ("kubectl", "kustomize", tmp_path / "kubernetes/overlays/staging")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode
    assert "service.yaml" in failed.stderr
