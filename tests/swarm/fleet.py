"""The stack of deploy/swarm on a Swarm of this engine's own, in a fresh clone, gone afterwards."""

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
    """A deployment in a fresh clone, under a name of its own.

    Attributes:
        folder: the clone.

    """

    folder: Path
    name: str

    @property
    def service(self) -> str:
        """What Swarm calls the service."""
        return f"{self.name}_backend"

    @property
    def stores(self) -> str:
        """What the stack of the stores is called, and the network that both are on."""
        return f"{self.name}-stores"

    @property
    def environ(self) -> dict[str, str]:
        """What has the commands of docs/swarm.md mean this deployment, and `vitals` be found."""
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
        """Make what docs/swarm.md wants to be there: an image, secrets, and stores in reach."""
        self.run("docker", "build", "-q", "-f", "docker/Dockerfile", "-t", self.name, ".")
        self.run("vitals", "secrets", "init")
        network = ("--driver", "overlay", "--opt", "encrypted", "--internal", self.stores)
        self.run("docker", "network", "create", *network)
        self.run("docker", "stack", "deploy", "--detach=true", "-c", STORES, self.stores)

    def deploy(self, **settings: str) -> None:
        """Deploy the stack as it is, and wait until Swarm calls it done."""
        self.run("docker", "stack", "deploy", "--detach=false", "-c", STACK, self.name, **settings)

    def remove(self) -> None:
        """Leave nothing of it, whatever has become of it."""
        self.run("docker", "stack", "rm", self.name, self.stores)
        until(lambda: containers(self.name), [], within=60)
        volume = f"{self.stores}_postgres-data"
        self.run("docker", "volume", "rm", "--force", volume)
        self.run("docker", "network", "rm", "--force", self.stores)
        self.run("docker", "image", "rm", "--force", self.name)

    @property
    def tasks(self) -> dict[str, Any]:
        """What the engine knows of each container that runs, by its id."""
        found = containers(self.service, "status=running")
        inspected = json.loads(run("docker", "inspect", *found)) if found else []
        return {known["Id"]: known for known in inspected}

    @property
    def healthy(self) -> list[str]:
        """The ids of those that the engine takes for healthy."""
        tasks = self.tasks.items()
        return [id_ for id_, known in tasks if known["State"]["Health"]["Status"] == "healthy"]

    def replaced(self, before: set[str]) -> int:
        """How many run, once none of those before does; until then none."""
        now = set(self.tasks)
        return 0 if now & before else len(now)

    def checked(self, since: str) -> int:
        """How often the engine has asked each task for its health since then, at least."""
        logs = [known["State"]["Health"]["Log"] for known in self.tasks.values()]
        return min(len([entry for entry in log if entry["Start"] > since]) for log in logs)

    @property
    def updated(self) -> str:
        """How the last update of the service stands."""
        known = json.loads(run("docker", "service", "inspect", self.service))[0]
        return str(known.get("UpdateStatus", {}).get("State", "none"))

    def update(self, *arguments: str) -> None:
        """Begin a rolling update."""
        run("docker", "service", "update", "--detach", "--quiet", *arguments, self.service)

    def scale(self, service: str, replicas: int) -> None:
        """Have a service run so many tasks, and wait until it does."""
        run("docker", "service", "scale", f"{service}={replicas}")

    def ready(self) -> set[int]:
        """The codes with which the tasks tell whether they are ready."""
        ask = (
            "curl",
            "-so",
            "/dev/null",
            "-w",
            "%{http_code}",
            "http://127.0.0.1:8000/health/ready",
        )
        return {int(run("docker", "exec", task, *ask)) for task in self.tasks}

    @contextlib.contextmanager
    def asked(self, hold: float) -> Iterator[dict[str, Any]]:
        """Have it asked by a client in its network until the block ends; then it tells."""
        network = f"{self.name}_edge"
        command = ("docker", "run", "--rm", "--interactive", "--network", network, self.name)
        client = subprocess.Popen(
            (*command, "python", "-c", CLIENT.read_text(), str(hold)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = dict[str, Any]()
        try:
            yield told
        finally:
            output, _ = client.communicate(timeout=30)
        told |= json.loads(output)


def containers(name: str, *filters: str) -> list[str]:
    """The ids of the containers of a stack or a service."""
    label = f"label=com.docker.swarm.service.name={name}" if "_" in name else f"name={name}"
    chosen = [argument for by in (label, *filters) for argument in ("--filter", by)]
    return run("docker", "ps", "--all", "--quiet", "--no-trunc", *chosen).split()


@contextlib.contextmanager
def swarm() -> Iterator[None]:
    """Have the engine be a Swarm; it is none afterwards, unless it was one before."""
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
    """Deploy the stack; nothing of it is left."""
    deployed = Fleet(checkout(folder), f"vitals-test-{uuid4().hex[:8]}")
    with swarm():
        try:
            deployed.prepare()
            deployed.deploy()
            yield deployed
        finally:
            deployed.remove()
