"""One container as deploy/kubernetes wants it, on this engine: there is no kubelet here."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.probe_config import promise
from tests.deploy.rules import read
from tests.image.stack import CommandFailedError, Stack, run, until
from tests.service import ROOT


BASE = ROOT / "deploy/kubernetes/base"

# As the kubelet lays a secret out, and swaps it when it has changed.
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
    """A container of the template's, beside the stores of a deployment of Compose.

    Attributes:
        spec: what the template says of the pod.
        folder: where its secrets are laid out.

    """

    spec: Any
    stack: Stack
    folder: Path

    @property
    def name(self) -> str:
        """What the engine calls it."""
        return f"{self.stack.project}-pod"

    @property
    def container(self) -> Any:
        """What the template says of the one container."""
        (container,) = self.spec["containers"]
        return container

    @property
    def image(self) -> str:
        """The image that Compose has made of this checkout."""
        return f"{self.stack.project}-backend"

    @property
    def environ(self) -> dict[str, str]:
        """The variables that it is given."""
        (generated,) = yaml.safe_load((BASE / "kustomization.yaml").read_text())[
            "configMapGenerator"
        ]
        literals = dict(literal.split("=", 1) for literal in generated["literals"])
        return literals | {entry["name"]: entry["value"] for entry in self.container["env"]}

    def project(self) -> None:
        """Lay its secrets out, or swap them, with the mode and the group of its template."""
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
        """Start it, with the rights that its template leaves it."""
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
        """Whether a probe of the template's passes, asked within the container."""
        path = self.container[f"{probe}Probe"]["httpGet"]["path"]
        url = f"http://127.0.0.1:{self.container['ports'][0]['containerPort']}{path}"
        try:
            run("docker", "exec", self.name, "curl", "-fsS", url)
        except CommandFailedError:
            return False
        return True

    def remove(self) -> None:
        """Leave nothing of it; its secrets are root's."""
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
    """Give a pod whose secrets are laid out, and that is yet to be started."""
    template = yaml.safe_load((BASE / "deployment.yaml").read_text())["spec"]["template"]
    pod = Pod(template["spec"], production, tmp_path)
    pod.project()
    yield pod
    pod.remove()


def test_it_needs_no_more_rights_than_the_template_leaves_it(pod: Pod) -> None:
    """Each of its probes passes, a rotated secret reaches it, and a stop is over in time."""
    pod.start(RECONNECT_INTERVAL="1")
    for probe in ("startup", "liveness", "readiness"):
        until(lambda probe=probe: pod.passes(probe), wanted=True, within=20)  # type: ignore[misc]
    run("docker", "exec", pod.name, "vitals", "maintenance", "on")
    until(lambda: pod.passes("readiness"), wanted=False, within=5)
    run("docker", "exec", pod.name, "vitals", "maintenance", "off")
    until(lambda: pod.passes("readiness"), wanted=True, within=5)
    _rotates(pod)
    _stops(pod)


def _rotates(pod: Pod) -> None:
    file = pod.stack.folder / "secrets/redis_password.txt"
    right = file.read_text()
    for content, ready in (("another", False), (right, True)):
        file.chmod(0o644)
        file.write_text(content)
        pod.project()
        until(lambda: pod.passes("readiness"), wanted=ready, within=10)
        assert pod.passes("liveness")


def _stops(pod: Pod) -> None:
    settings = read(pod.environ)
    begun = time.monotonic()
    run("docker", "stop", "--time", str(pod.spec["terminationGracePeriodSeconds"]), pod.name)
    assert settings.drain_seconds <= time.monotonic() - begun <= promise(settings).gone
    assert json.loads(run("docker", "inspect", pod.name))[0]["State"]["ExitCode"] == 0
