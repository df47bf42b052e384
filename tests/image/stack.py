"""A deployment of the compose files, as a project of its own that is gone afterwards."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.pages import furnish
from tests.ports import free_port
from tests.service import ROOT, VITALS


DEVELOPMENT = "compose.yaml"
PRODUCTION = "compose.yaml:compose.production.yaml"
# Production, but for how often Docker asks: each half minute is too seldom for a test.
HURRIED = f"{PRODUCTION}:tests/image/compose.hurried.yaml"


class CommandFailedError(Exception):
    """A command's exit code and what it has told on standard error."""

    def __init__(self, code: int, told: str) -> None:
        super().__init__(f"{code}: {told}")
        self.code = code
        self.told = told


def run(*command: str | Path, **options: Any) -> str:
    """Run a command, and tell what it says on standard output.

    Raises:
        CommandFailedError: it has failed.

    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, **options
    )
    if done.returncode:
        raise CommandFailedError(done.returncode, done.stderr)
    return done.stdout


def checkout(folder: Path) -> Path:
    """Copy what git has, or would have, of this checkout: a fresh clone, and its environment."""
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    furnish(folder)
    return folder


@dataclass(frozen=True)
class Stack:
    """A deployment in a fresh clone, on a port of its own.

    Attributes:
        folder: the clone.
        files: the compose files, as `COMPOSE_FILE` names them.

    """

    folder: Path
    files: str
    project: str
    port: int

    @property
    def environ(self) -> dict[str, str]:
        """What has `docker compose` mean this deployment, and `vitals` be found."""
        return {
            "COMPOSE_FILE": self.files,
            "COMPOSE_PROJECT_NAME": self.project,
            "HOME": os.environ.get("HOME", "/"),
            "PATH": f"{Path(VITALS[0]).parent}:{os.environ['PATH']}",
            "PORT": str(self.port),
            "PYTHON": sys.executable,
            "VITALS_IMAGE": f"{self.project}-backend",
        }

    def run(self, *command: str, **options: Any) -> str:
        """Run a command in the clone."""
        return run(*command, cwd=self.folder, env=self.environ, **options)

    def type(self, commands: str) -> None:
        """Run what a page shows, on the port of this deployment."""
        self.run("sh", "-ec", commands.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"))

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`."""
        return self.run("docker", "compose", "--ansi", "never", *arguments)

    def exec(self, service: str, *command: str) -> str:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *command)

    def up(self, **settings: str) -> None:
        """Start it, with a `.env` if there is anything to set, and wait until all is healthy."""
        if settings:
            lines = [f"{name}={value}\n" for name, value in settings.items()]
            (self.folder / ".env").write_text("".join(lines))
        self.compose("up", "--detach", "--wait", "--wait-timeout", "120")

    def down(self) -> None:
        """Leave nothing of it, whatever has become of it."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "1")
        run("docker", "image", "rm", "--force", f"{self.project}-backend")

    @property
    def containers(self) -> list[str]:
        """The id of each container, running or not."""
        return self.compose("ps", "--all", "--quiet").split()

    def inspect(self, service: str) -> Any:
        """What the engine knows of a service's container."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        return json.loads(run("docker", "inspect", container))[0]

    def health(self, service: str = "backend") -> str:
        """What the engine takes a container's health for."""
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def lives(self, service: str = "backend") -> tuple[str, int]:
        """When a container was started and how often anew: the same, as long as it is."""
        known = self.inspect(service)
        return known["State"]["StartedAt"], known["RestartCount"]

    def ask(self, path: str) -> tuple[int, Any]:
        """Put one request to the published port, and tell the code and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def reason(self, name: str) -> str | None:
        """Why a check fails; none while it passes."""
        reason: str | None = self.ask("/health")[1]["checks"][name].get("reason")
        return reason


@contextlib.contextmanager
def stack(folder: Path, files: str) -> Iterator[Stack]:
    """Prepare a deployment in a fresh clone; nothing of it is left."""
    deployment = Stack(checkout(folder), files, f"vitals-test-{uuid4().hex[:8]}", free_port())
    try:
        if files == HURRIED:
            deployment.run("vitals", "secrets", "init")
        yield deployment
    finally:
        deployment.down()


def until(told: Callable[[], object], wanted: object, within: float) -> None:
    """Wait until what is told is what is wanted."""
    deadline = time.monotonic() + within
    while (seen := told()) != wanted:
        assert time.monotonic() < deadline, f"not {wanted!r} within {within} s, but {seen!r}"
        time.sleep(0.1)
