"""The console sessions on the pages, run as shown."""

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

from tests.support.devservers import Postgres
from tests.support.pages import Block, alike, furnish, shown
from tests.support.ports import free_port
from tests.support.service import ROOT, clean


pytestmark = pytest.mark.slow

# Seconds, enough for a start on a busy machine. Other tests measure how soon a fault shows.
WITHIN = 30


@dataclass(frozen=True)
class Reader:
    """A reader who runs the commands of a page in a shell.

    Attributes:
        folder: the working folder, with the files of a checkout that `make` reads.
        environ: the shell's environment.
        replacements: the values to use instead of the page's example ports and hosts.
    """

    folder: Path
    environ: Mapping[str, str]
    replacements: Mapping[str, str]

    def fill_in(self, text: str) -> str:
        """Replace the examples in a text."""
        for example, value in self.replacements.items():
            text = text.replace(example, value)
        return text

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command. Its standard error goes to its standard output."""
        return subprocess.run(
            ("/bin/sh", "-c", f"({self.fill_in(command)}\n) 2>&1"),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def follow(self, block: Block) -> None:
        """Repeat each command until its output is the one on the page."""
        for command, output in block.exchanges:
            deadline = time.monotonic() + WITHIN
            while not self.succeeds(command, output):
                assert time.monotonic() < deadline, f"{block.place}: {self.run(command)}"
                time.sleep(0.1)

    def succeeds(self, command: str, output: str) -> bool:
        """Return whether a command prints this output, or without one whether it exits with 0."""
        done = self.run(command)
        return alike(self.fill_in(output), done.stdout) if output else not done.returncode

    @contextlib.contextmanager
    def in_background(self, command: str) -> Iterator[Path]:
        """Run a command in another shell during a `with` block, and yield its log file."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ("/bin/sh", "-c", self.fill_in(command)),
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
        # The variables of the `make` that runs these tests must not reach the reader's `make`.
        "MAKEFLAGS": "",
        "MAKELEVEL": "",
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PORT": port,
        "PYTHON": sys.executable,
    }
    return Reader(tmp_path, environ, {"127.0.0.1:8000": f"127.0.0.1:{port}"})


def test_the_first_steps_of_the_readme_work(reader: Reader) -> None:
    """The service starts, a store freezes, the service reports it, and the store recovers."""
    first, *others = shown("README.md", "Two commands")
    ((command, output),) = first.exchanges
    with reader.in_background(command) as log:
        deadline = time.monotonic() + WITHIN
        while not alike(output, log.read_text()):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        redis = log.read_text().partition("kill -STOP ")[2].split()[0]
        newcomer = Reader(reader.folder, reader.environ, {**reader.replacements, "4242": redis})
        for block in others:
            newcomer.follow(block)


def test_serving_with_ones_own_servers_works_as_the_readme_shows(
    reader: Reader, postgres: Postgres
) -> None:
    (block,) = shown("README.md", "On your own servers")
    *before, (serve, _) = block.exchanges
    environ = {**reader.environ, "PASSWORD": postgres.password_file.read_text()}
    replacements = {**reader.replacements, "postgresql://app@db.internal:5432/app": postgres.url}
    owner = Reader(reader.folder, environ, replacements)
    for command, _ in before:
        assert owner.run(command).returncode == 0, command
    answer = Block(block.place, "", "", "console", "$ curl 127.0.0.1:8000/health\n{...pass...}\n")
    with owner.in_background(serve):
        owner.follow(answer)


def test_the_doctor_prints_what_the_docs_show(reader: Reader) -> None:
    """For a PostgreSQL that does not run and a missing secret."""
    (reader.folder / "secrets/postgres_password.txt").write_text("x")
    ports = {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (5432, 6379)}
    (block,) = shown("docs/settings.md", "Why is it red?")
    Reader(reader.folder, reader.environ, ports).follow(block)


def test_unsuitable_settings_for_a_proxy_are_reported_as_the_docs_show(reader: Reader) -> None:
    reader.follow(shown("docs/deployment.md", "Deployment")[0])


def test_three_commands_show_why_it_is_red(reader: Reader) -> None:
    """The log of the service that runs here stands for the log of the container."""
    (block,) = shown("docs/troubleshoot.md", "It is red: three commands")
    (reader.folder / "secrets/postgres_password.txt").write_text("x")
    url = f"postgresql://app@127.0.0.1:{free_port()}/app"
    environ = {**reader.environ, "DATABASE_URL": url, "SECRETS_DIR": "secrets"}
    log = {"docker compose logs backend": "cat log"}
    operator = Reader(reader.folder, environ, {**reader.replacements, **log})
    with operator.in_background("vitals serve"):
        operator.follow(block)


def test_a_start_that_fails_prints_what_the_docs_show(reader: Reader) -> None:
    reader.follow(shown("docs/messages.md", "The start: exit code 78")[0])


def test_the_maintenance_commands_create_and_remove_the_file(reader: Reader) -> None:
    (block,) = shown("docs/operations.md", "Take an instance out, and put it back")
    (on, _), (off, _) = block.exchanges
    file = reader.folder / "maintenance"
    operator = Reader(reader.folder, {**reader.environ, "MAINTENANCE_FILE": str(file)}, {})
    for command, exists in ((on, True), (off, False)):
        assert operator.run(command).returncode == 0
        assert file.exists() is exists


def test_secrets_made_by_hand_as_the_page_shows_pass_the_check(reader: Reader) -> None:
    by_hand = shown("secrets/README.md", "Make them")[0]
    assert reader.run(by_hand.text).returncode == 0
    checked = reader.run("vitals secrets check")
    assert checked.returncode == 0, checked.stdout
