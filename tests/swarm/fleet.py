"""The stack of deploy/swarm, deployed from a fresh clone on a temporary Swarm of this engine."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.image.stack import checkout, run, until


STACK = "deploy/swarm/stack.yaml"
STORES = "tests/swarm/stores.yaml"
CLIENT = Path(__file__).with_name("client.py")


@dataclass(frozen=True)
class Fleet:
    """A deployment from a fresh clone, with a unique name.

    Attributes:
        folder: the clone.
    """

    folder: Path
    name: str

    @property
    def service(self) -> str:
        """The name of the service in the Swarm."""
        return f"{self.name}_backend"

    @property
    def stores(self) -> str:
        """The name of the stack of the stores, and of the network that both stacks use."""
        return f"{self.name}-stores"

    @property
    def environ(self) -> dict[str, str]:
        """The variables with which the commands of docs/swarm.md act on this deployment."""
        return {
            "HOME": os.environ.get("HOME", "/"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "STACK": self.name,
            "STORES": self.stores,
            "STORES_NETWORK": self.stores,
            "VITALS_IMAGE": self.name,
        }

    def run(self, *command: str, **settings: str) -> str:
        """Run a command in the clone."""
        return run(*command, cwd=self.folder, env={**self.environ, **settings})

    def prepare(self) -> None:
        """Create the image, secrets, network and stores that docs/swarm.md requires."""
        self.run("docker", "build", "-q", "-f", "docker/Dockerfile", "-t", self.name, ".")
        self.run("vitals", "secrets", "init")
        network = ("--driver", "overlay", "--opt", "encrypted", "--internal", self.stores)
        self.run("docker", "network", "create", *network)
        self.run("docker", "stack", "deploy", "--detach=true", "-c", STORES, self.stores)

    def deploy(self, **settings: str) -> None:
        """Deploy the stack, and wait until Swarm reports that it is complete."""
        self.run("docker", "stack", "deploy", "--detach=false", "-c", STACK, self.name, **settings)

    def remove(self) -> None:
        """Remove the stacks, volumes, networks and the image."""
        self.run("docker", "stack", "rm", self.name, self.stores)
        until(lambda: containers(self.name), [], within=60)
        listed = self.run("docker", "volume", "ls", "--quiet", "--filter", f"name={self.name}")
        self.run("docker", "volume", "rm", "--force", *listed.split())
        self.run("docker", "network", "rm", "--force", self.stores)
        self.run("docker", "image", "rm", "--force", self.name)

    @property
    def tasks(self) -> dict[str, Any]:
        """The output of `docker inspect` for each running container, by container id."""
        found = containers(self.service, "status=running")
        inspected = json.loads(run("docker", "inspect", *found)) if found else []
        return {task["Id"]: task for task in inspected}

    @property
    def healthy(self) -> list[str]:
        """The ids of the containers that the engine reports as healthy."""
        tasks = self.tasks.items()
        return [id_ for id_, task in tasks if task["State"]["Health"]["Status"] == "healthy"]

    def replaced(self, before: set[str]) -> int:
        """Return how many containers run, or 0 while one of *before* still does."""
        now = set(self.tasks)
        return 0 if now & before else len(now)

    def checked(self, since: str) -> int:
        """Return the minimum number of health checks of a task since a time (ISO 8601)."""
        logs = [task["State"]["Health"]["Log"] for task in self.tasks.values()]
        return min(len([entry for entry in log if entry["Start"] > since]) for log in logs)

    @property
    def updated(self) -> str:
        """The state of the service's last update."""
        service = json.loads(run("docker", "service", "inspect", self.service))[0]
        return str(service.get("UpdateStatus", {}).get("State", "none"))

    def update(self, *arguments: str) -> None:
        """Start a rolling update."""
        run("docker", "service", "update", "--detach", "--quiet", *arguments, self.service)

    def scale(self, service: str, replicas: int) -> None:
        """Change the number of a service's tasks, and wait until they run."""
        run("docker", "service", "scale", f"{service}={replicas}")

    def ready(self) -> set[int]:
        """Return the status codes of the tasks' readiness."""
        curl = [
            "curl",
            "-so",
            "/dev/null",
            "-w",
            "%{http_code}",
            "http://127.0.0.1:8000/health/ready",
        ]
        return {int(run("docker", "exec", task, *curl)) for task in self.tasks}

    @contextlib.contextmanager
    def under_load(self, ttl: float) -> Iterator[dict[str, Any]]:
        """Run client.py in the service's network during a `with` block.

        Args:
            ttl: how many seconds the client caches the addresses of the tasks.

        Yields:
            A dictionary that has the client's results after the block.
        """
        network = f"{self.name}_edge"
        command = ("docker", "run", "--rm", "--interactive", "--network", network, self.name)
        client = subprocess.Popen(
            (*command, "python", "-c", CLIENT.read_text(), str(ttl)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        results = dict[str, Any]()
        try:
            yield results
        finally:
            output, _ = client.communicate(timeout=30)
        results |= json.loads(output)


def containers(name: str, *filters: str) -> list[str]:
    """Return the ids of the containers of a stack or a service."""
    label = f"label=com.docker.swarm.service.name={name}" if "_" in name else f"name={name}"
    chosen = [argument for by in (label, *filters) for argument in ("--filter", by)]
    return run("docker", "ps", "--all", "--quiet", "--no-trunc", *chosen).split()


@contextlib.contextmanager
def swarm() -> Iterator[None]:
    """Make the engine a Swarm manager, and leave the Swarm afterwards unless it existed before."""
    before = json.loads(run("docker", "info", "--format", "{{json .Swarm.LocalNodeState}}"))
    if before == "active":
        yield
        return
    run("docker", "swarm", "init", "--advertise-addr", "127.0.0.1")
    try:
        yield
    finally:
        run("docker", "swarm", "leave", "--force")


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Deploy the stack, and remove it afterwards."""
    deployed = Fleet(checkout(folder), f"vitals-test-{uuid4().hex[:8]}")
    with swarm():
        try:
            deployed.prepare()
            deployed.deploy()
            yield deployed
        finally:
            deployed.remove()
