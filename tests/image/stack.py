"""A temporary deployment of the compose files, as a separate Compose project."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from app import __version__
from tests.support.pages import furnish
from tests.support.ports import free_port
from tests.support.service import ROOT, VITALS, ask


DEVELOPMENT = "compose.yaml"
PRODUCTION = "compose.yaml:compose.production.yaml"
# Production with a health check each second: 30 s would be too slow for tests.
HURRIED = f"{PRODUCTION}:tests/image/compose.hurried.yaml"


# The uid and gid of a user of the host.
ORDINARY = 4711


class CommandFailedError(Exception):
    """A command failed. Has its exit code and standard error."""

    def __init__(self, code: int, stderr: str) -> None:
        super().__init__(f"{code}: {stderr}")
        self.code = code
        self.stderr = stderr


def run(*command: str | Path, **options: Any) -> str:
    """Run a command, and return its standard output.

    Raises:
        CommandFailedError: the exit code is not 0.
    """
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, **options
    )
    if done.returncode:
        raise CommandFailedError(done.returncode, done.stderr)
    return done.stdout


def checkout(folder: Path) -> Path:
    """Copy the files of this checkout that git does not ignore, and link its environment."""
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    furnish(folder)
    return folder


@dataclass(frozen=True)
class Stack:
    """A deployment in a fresh clone.

    Attributes:
        folder: the clone.
        files: the compose files, in the format of `COMPOSE_FILE`.
        user: the options with which `run` runs commands as another user.
        settings: the variables that select files and image. Without them, those of the tests.
    """

    folder: Path
    files: str
    project: str
    port: int
    user: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        """The name of the image of this version."""
        return f"{self.project}:{__version__}"

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which `docker compose` and `vitals` act on this deployment."""
        return {
            "COMPOSE_PROJECT_NAME": self.project,
            "HOME": os.environ.get("HOME", "/"),
            "PATH": f"{Path(VITALS[0]).parent}:{os.environ['PATH']}",
            "PORT": str(self.port),
            "PYTHON": sys.executable,
            **(self.settings or {"COMPOSE_FILE": self.files, "VITALS_IMAGE": self.image}),
        }

    def run(self, *command: str, **options: Any) -> str:
        """Run a command in the clone."""
        return run(*command, cwd=self.folder, env=self.environ, **self.user, **options)

    def run_shown(self, commands: str) -> None:
        """Run commands from a page with the port and the image of this deployment."""
        commands = commands.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        self.run("sh", "-ec", commands.replace(f"vitals:{__version__}", self.image))

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`."""
        return self.run("docker", "compose", "--ansi", "never", *arguments)

    def exec(self, service: str, *command: str) -> str:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *command)

    def up(self, **settings: str) -> None:
        """Write the settings to `.env`, start all services, and wait until they are healthy."""
        if settings:
            lines = [f"{name}={value}\n" for name, value in settings.items()]
            (self.folder / ".env").write_text("".join(lines))
        self.compose("up", "--detach", "--wait", "--wait-timeout", "120")

    def down(self) -> None:
        """Remove the containers, volumes, networks and images."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "1")
        images = run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", self.project)
        run("docker", "image", "rm", "--force", f"{self.project}-backend", *images.split())

    @property
    def containers(self) -> list[str]:
        """The ids of all containers, running or not."""
        return self.compose("ps", "--all", "--quiet").split()

    def inspect(self, service: str) -> Any:
        """Return the output of `docker inspect` for a service's container."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        return json.loads(run("docker", "inspect", container))[0]

    def health(self, service: str = "backend") -> str:
        """Return the engine's health status of a service's container."""
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def starts(self, service: str = "backend") -> tuple[str, int]:
        """Return a container's start time and number of restarts, which a restart changes."""
        inspected = self.inspect(service)
        return inspected["State"]["StartedAt"], inspected["RestartCount"]

    def ask(self, path: str) -> tuple[int, Any]:
        """Send a GET request to the published port, and return the status code and the body."""
        reply = ask(self.port, path)
        return reply.code, reply.json

    def phase(self) -> str | None:
        """Return the phase, or None if no service answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return str(self.ask("/health/ready")[1]["phase"])
        return None

    def reason(self, name: str) -> str | None:
        """Return the reason of a failing check, or None while it passes."""
        reason: str | None = self.ask("/health")[1]["checks"][name].get("reason")
        return reason


@contextlib.contextmanager
def stack(folder: Path, files: str) -> Iterator[Stack]:
    """Prepare a deployment in a fresh clone, and remove it afterwards."""
    deployment = Stack(checkout(folder), files, f"vitals-test-{uuid4().hex[:8]}", free_port())
    try:
        if files == HURRIED:
            deployment.run("vitals", "secrets", "init")
        yield deployment
    finally:
        deployment.down()


@contextlib.contextmanager
def operated() -> Iterator[Stack]:
    """Prepare production in a fresh clone of an ordinary user of Docker, without other settings.

    The compose files name the image, as for an operator, but not the one of this machine.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        with stack(folder, PRODUCTION) as deployment:
            file = folder / "compose.production.yaml"
            file.write_text(file.read_text().replace(":-vitals:", f":-{deployment.project}:"))
            user = become_ordinary(folder) if os.geteuid() == 0 else {}
            yield replace(deployment, user=user, settings={"HOME": name})


def become_ordinary(folder: Path) -> dict[str, Any]:
    """Give a folder to a user without a name, and return how to run commands as that user.

    The user is only in the group of the engine's socket.
    """
    run("chown", "--recursive", "--no-dereference", f"{ORDINARY}:{ORDINARY}", folder)
    group = Path("/var/run/docker.sock").stat().st_gid
    return {"user": ORDINARY, "group": ORDINARY, "extra_groups": [group]}


def until(read: Callable[[], object], wanted: object, within: float) -> None:
    """Wait until *read* returns the wanted value, for at most *within* seconds."""
    deadline = time.monotonic() + within
    while (seen := read()) != wanted:
        assert time.monotonic() < deadline, f"not {wanted!r} within {within} s, but {seen!r}"
        time.sleep(0.1)
