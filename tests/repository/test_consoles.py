"""What the pages show on a console is what comes of it when somebody types that."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.devservers import Postgres
from tests.pages import Block, alike, furnish, shown
from tests.ports import free_port
from tests.service import ROOT, clean


# Seconds for what a busy machine starts; how soon a fault shows is what others test.
WITHIN = 30


@dataclass(frozen=True)
class Reader:
    """Somebody who types what a page shows.

    Attributes:
        folder: where: a checkout, as far as `make` looks, with the environment that it makes.
        environ: what is exported there.
        means: what stands for an example, a port or a host, here.

    """

    folder: Path
    environ: Mapping[str, str]
    means: Mapping[str, str]

    def meant(self, text: str) -> str:
        """Put in what examples stand for."""
        for example, meant in self.means.items():
            text = text.replace(example, meant)
        return text

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type a command, and wait for its end; what it complains of is seen too."""
        return subprocess.run(
            ("/bin/sh", "-c", f"({self.meant(command)}\n) 2>&1"),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def follow(self, block: Block) -> None:
        """Type each command until it answers what is shown, for as long as that is promised."""
        for command, told in block.exchanges:
            deadline = time.monotonic() + WITHIN
            while not self.sees(command, told):
                assert time.monotonic() < deadline, f"{block.place}: {self.type(command)}"
                time.sleep(0.1)

    def sees(self, command: str, told: str) -> bool:
        """Whether a command answers what is shown; where nothing is, that it does not fail."""
        done = self.type(command)
        return alike(self.meant(told), done.stdout) if told else not done.returncode

    @contextlib.contextmanager
    def beside(self, command: str) -> Iterator[Path]:
        """Have a command run in another shell until the block ends; give what it prints."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ("/bin/sh", "-c", self.meant(command)),
                cwd=self.folder,
                env=self.environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(WITHIN)


@pytest.fixture(name="reader")
def _reader(tmp_path: Path) -> Reader:
    port = str(free_port())
    for name in ("Makefile", "pyproject.toml", "requirements/development.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    furnish(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / ".curlrc").write_text('silent\nnoproxy = "*"\n')
    environ = {
        **clean(os.environ),
        "CURL_HOME": str(tmp_path),
        # Whose target these tests are part of is no matter of the newcomer's.
        "MAKEFLAGS": "",
        "MAKELEVEL": "",
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PORT": port,
        "PYTHON": sys.executable,
    }
    return Reader(tmp_path, environ, {"127.0.0.1:8000": f"127.0.0.1:{port}"})


def test_a_newcomer_sees_what_the_readme_shows(reader: Reader) -> None:
    """It serves, a store freezes, it says so, and the store thaws."""
    first, *others = shown("README.md", "Two commands")
    ((command, told),) = first.exchanges
    with reader.beside(command) as log:
        deadline = time.monotonic() + WITHIN
        while not alike(told, log.read_text()):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        redis = log.read_text().partition("kill -STOP ")[2].split()[0]
        newcomer = Reader(reader.folder, reader.environ, {**reader.means, "4242": redis})
        for block in others:
            newcomer.follow(block)


def test_it_serves_on_servers_of_ones_own_as_the_readme_says(
    reader: Reader, postgres: Postgres
) -> None:
    """With the password in the file that is written there."""
    (block,) = shown("README.md", "On your own servers")
    *before, (serve, _) = block.exchanges
    environ = {**reader.environ, "PASSWORD": postgres.password_file.read_text()}
    means = {**reader.means, "postgresql://app@db.internal:5432/app": postgres.url}
    owner = Reader(reader.folder, environ, means)
    for command, _ in before:
        assert owner.type(command).returncode == 0, command
    answer = Block(block.place, "", "", "console", "$ curl 127.0.0.1:8000/health\n{...pass...}\n")
    with owner.beside(serve):
        owner.follow(answer)


def test_the_doctor_says_what_the_docs_show(reader: Reader) -> None:
    """Of a PostgreSQL that is not there, and a secret that nobody has made."""
    (reader.folder / "secrets/postgres_password.txt").write_text("x")
    ports = {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (5432, 6379)}
    (block,) = shown("docs/settings.md", "Why is it red?")
    Reader(reader.folder, reader.environ, ports).follow(block)


def test_a_balancer_that_does_not_fit_is_told_as_the_docs_show(reader: Reader) -> None:
    """In one line, with the setting that would mend it."""
    reader.follow(shown("docs/deployment.md", "Deployment")[0])


def test_maintenance_is_a_file_that_comes_and_goes(reader: Reader) -> None:
    """By the two commands of the page."""
    (block,) = shown("docs/operations.md", "Take an instance out, and put it back")
    (on, _), (off, _) = block.exchanges
    file = reader.folder / "maintenance"
    operator = Reader(reader.folder, {**reader.environ, "MAINTENANCE_FILE": str(file)}, {})
    for command, exists in ((on, True), (off, False)):
        assert operator.type(command).returncode == 0
        assert file.exists() is exists


def test_secrets_are_made_without_the_command_too(reader: Reader) -> None:
    """By the lines of the page, at which `vitals secrets check` finds nothing wrong."""
    (block,) = shown("secrets/README.md", "Make them")
    assert reader.type(block.text).returncode == 0
    judged = reader.type("vitals secrets check")
    assert judged.returncode == 0, judged.stdout
