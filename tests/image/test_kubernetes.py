"""A container with the options of deploy/kubernetes, run by Docker instead of a kubelet."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.probe_config import compute_guarantees
from tests.image.stack import CommandFailedError, Stack, run, until
from tests.repository.deploy.rules import read
from tests.support.service import ROOT


BASE = ROOT / "deploy/kubernetes/base"

# Writes a secret volume as the kubelet does, and swaps it when the secret has changed.
PROJECTED = """
cd /secrets
new=..$(cat /proc/sys/kernel/random/uuid)
mkdir "$new"
for file in /source/*; do cp "$file" "$new/$(basename "$file" .txt)"; done
chown -R "0:$GROUP" "$new" && chmod 0755 . "$new" && chmod "$MODE" "$new"/*
old=$(readlink ..data || true)
ln -s "$new" ..data_tmp && mv -T ..data_tmp ..data
for file in ..data/*; do ln -sfn "$file" "$(basename "$file")"; done
[ -z "$old" ] || rm -r "$old"
"""


@dataclass(frozen=True)
class Pod:
    """The container of the pod template, on the network of a Compose deployment.

    Attributes:
        spec: the pod template's spec.
        folder: the volume with its secrets.
    """

    spec: Any
    stack: Stack
    folder: Path

    @property
    def name(self) -> str:
        """The name of the Docker container."""
        return f"{self.stack.project}-pod"

    @property
    def container(self) -> Any:
        """The template's only container."""
        (container,) = self.spec["containers"]
        return container

    @property
    def image(self) -> str:
        """The image that Compose built from this checkout."""
        return self.stack.image

    @property
    def environ(self) -> dict[str, str]:
        """The container's variables."""
        (generated,) = yaml.safe_load((BASE / "kustomization.yaml").read_text())[
            "configMapGenerator"
        ]
        literals = dict(literal.split("=", 1) for literal in generated["literals"])
        return literals | {entry["name"]: entry["value"] for entry in self.container["env"]}

    def project(self) -> None:
        """Write or swap the secret volume, with the mode and the group of the template."""
        (volume,) = (volume["secret"] for volume in self.spec["volumes"] if "secret" in volume)
        mounts = ("-v", f"{self.folder}:/secrets", "-v", f"{self.stack.folder}/secrets:/source:ro")
        given = (
            f"MODE={volume['defaultMode']:o}",
            f"GROUP={self.spec['securityContext']['fsGroup']}",
        )
        variables = [word for variable in given for word in ("-e", variable)]
        command = ("docker", "run", "--rm", "--user", "0", *mounts, *variables, self.image)
        run(*command, "sh", "-ec", PROJECTED)

    def start(self, **more: str) -> None:
        """Start the container with the security options of the template."""
        pod, own = self.spec["securityContext"], self.container["securityContext"]
        assert own["readOnlyRootFilesystem"]
        assert not own["allowPrivilegeEscalation"]
        variables = [
            word
            for name, value in (self.environ | more).items()
            for word in ("-e", f"{name}={value}")
        ]
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        options = (
            *("--user", f"{pod['runAsUser']}:{pod['runAsGroup']}", "--read-only"),
            *("--cap-drop", *own["capabilities"]["drop"], "--security-opt", "no-new-privileges"),
            *("--memory", self.container["resources"]["limits"]["memory"].removesuffix("i")),
            *("--tmpfs", f"{mounts['tmp']}:size=1m", "-v", f"{self.folder}:{mounts['secrets']}:ro"),
            *("--network", f"{self.stack.project}_stores"),
        )
        run("docker", "run", "--detach", "--name", self.name, *options, *variables, self.image)

    def passes(self, probe: str) -> bool:
        """Return whether a probe of the template passes, requested in the container."""
        path = self.container[f"{probe}Probe"]["httpGet"]["path"]
        url = f"http://127.0.0.1:{self.container['ports'][0]['containerPort']}{path}"
        try:
            run("docker", "exec", self.name, "curl", "-fsS", url)
        except CommandFailedError:
            return False
        return True

    def remove(self) -> None:
        """Remove the container and its secrets, which belong to root."""
        run("docker", "rm", "--force", self.name)
        mount = ("--user", "0", "-v", f"{self.folder}:/secrets")
        run(
            "docker",
            "run",
            "--rm",
            *mount,
            self.image,
            "find",
            "/secrets",
            "-mindepth",
            "1",
            "-delete",
        )


@pytest.fixture(name="pod")
def _pod(production: Stack, tmp_path: Path) -> Iterator[Pod]:
    """A pod with its secret volume, not started yet."""
    template = yaml.safe_load((BASE / "deployment.yaml").read_text())["spec"]["template"]
    pod = Pod(template["spec"], production, tmp_path)
    pod.project()
    yield pod
    pod.remove()


def test_it_works_with_the_privileges_of_the_template(pod: Pod) -> None:
    """Its probes pass, it reads a rotated secret, and it stops within the grace period."""
    pod.start(RECONNECT_INTERVAL="1")
    for probe in ("startup", "liveness", "readiness"):
        until(lambda probe=probe: pod.passes(probe), wanted=True, within=20)  # type: ignore[misc]
    run("docker", "exec", pod.name, "vitals", "maintenance", "on")
    until(lambda: pod.passes("readiness"), wanted=False, within=5)
    run("docker", "exec", pod.name, "vitals", "maintenance", "off")
    until(lambda: pod.passes("readiness"), wanted=True, within=5)
    _assert_rotation(pod)
    _assert_stop(pod)


def _assert_rotation(pod: Pod) -> None:
    file = pod.stack.folder / "secrets/redis_password.txt"
    right = file.read_text()
    for content, ready in (("another", False), (right, True)):
        file.chmod(0o644)
        file.write_text(content)
        pod.project()
        until(lambda: pod.passes("readiness"), wanted=ready, within=10)
        assert pod.passes("liveness")


def _assert_stop(pod: Pod) -> None:
    settings = read(pod.environ)
    started = time.monotonic()
    run("docker", "stop", "--time", str(pod.spec["terminationGracePeriodSeconds"]), pod.name)
    elapsed = time.monotonic() - started
    assert settings.drain_seconds <= elapsed <= compute_guarantees(settings).shutdown
    assert json.loads(run("docker", "inspect", pod.name))[0]["State"]["ExitCode"] == 0
