"""The service starts and keeps running on a degraded host."""

import contextlib
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import frozen, killed
from tests.support.hanging_file import hanging
from tests.support.ports import free_port
from tests.support.service import SERVE, UVICORN, Prober, Service, clean, on, running
from tests.support.troubled_app import HOUR


BOUND = 0.2 + 0.4 + 0.5
FAULTY_HOST = (sys.executable, "-m", "tests.support.troubled_app", "app", "serve")
STUCK_CHECK = (sys.executable, "-m", "tests.support.stuck_app")

# Number of log lines that exceeds the pipes and disks of these tests.
LINES = 300
NOWHERE = b'"path": "/nowhere"'

all_servers = pytest.mark.parametrize("command", [SERVE, UVICORN], ids=["vitals", "uvicorn"])


def shell(line: str, command: tuple[str, ...] = SERVE) -> tuple[str, ...]:
    """Return a command that runs *command*, as `"$@"`, in a shell line."""
    return ("sh", "-c", line, "sh", *command)


def fill_log(service: Service) -> None:
    """Send requests that are logged, and assert that each is answered."""
    for _ in range(LINES):
        assert service.ask("/nowhere").code == 404
    assert service.ask("/health/ready").code == 200


def terminate(service: Service) -> int:
    """Terminate the service within 4 s, and return its exit code."""
    service.process.terminate()
    return service.process.wait(4)


@pytest.mark.alone
def test_the_service_starts_before_its_dependencies(
    own_postgres: Postgres, own_valkey: Valkey, tmp_path: Path
) -> None:
    """It starts, reports why the checks fail, and becomes ready when the dependencies start."""
    with ExitStack() as stack:
        with killed(own_postgres), killed(own_valkey):
            service = stack.enter_context(running(on(own_postgres, own_valkey), tmp_path / "log"))
            service.until("postgres", "refused", 5)
            service.until("redis", "refused", 5)
            assert service.ask("/health/started").code == 200
            assert service.ask("/health/ready").code == 503
        service.until("postgres", None, BOUND)
        service.until("redis", None, BOUND)
        assert service.ask("/health/ready").code == 200


def test_a_restart_succeeds_after_a_missing_secret_is_mounted(
    valkey: Valkey, tmp_path: Path
) -> None:
    """The first start names the missing file, and exits with 78."""
    secret = tmp_path / "redis_password"
    environ = {**on(None, valkey), "REDIS_PASSWORD_FILE": str(secret)}
    code, output = start_and_fail(environ)
    assert code == os.EX_CONFIG
    assert f"{secret} (REDIS_PASSWORD_FILE) is missing" in output
    secret.write_text(valkey.password_file.read_text())
    with running(environ, tmp_path / "log") as service:
        service.until("redis", None, 5)


def start_and_fail(environ: dict[str, str]) -> tuple[int, str]:
    """Return exit code and output of a service that fails to start."""
    environ = {**clean(os.environ), **environ, "PORT": str(free_port())}
    done = subprocess.run(SERVE, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.alone
def test_a_stepping_wall_clock_only_changes_dates(own_valkey: Valkey, tmp_path: Path) -> None:
    """It steps an hour ahead and back. No answer changes, and faults are reported as fast."""
    with running(on(None, own_valkey), tmp_path / "log", FAULTY_HOST) as service:
        service.until("redis", None, 5)
        for direction in (1, -1):
            before = observation_time(service)
            with Prober(service, "/health/ready") as ready:
                service.process.send_signal(signal.SIGUSR2)
                time.sleep(BOUND * 1.5)
            assert {reply.code for reply in ready.replies} == {200}
            assert abs(observation_time(service) - before - direction * HOUR) < 60
            with frozen(own_valkey):
                service.until("redis", "timeout", BOUND)
            service.until("redis", None, BOUND)


def observation_time(service: Service) -> float:
    """Return the time of the last result as a Unix timestamp."""
    observed_at = service.ask("/health").json["checks"]["redis"]["observed_at"]
    return datetime.fromisoformat(observed_at).timestamp()


@pytest.fixture(name="pipe")
def _pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Create a small named pipe, and yield its path and its reading end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    yield path, reader
    with contextlib.suppress(OSError):
        os.close(reader)


@all_servers
def test_a_log_that_is_not_read_blocks_nothing(
    valkey: Valkey, pipe: tuple[Path, int], command: tuple[str, ...]
) -> None:
    """Answers and shutdown are not delayed, and a late reader finds each line."""
    path, reader = pipe
    with running(on(None, valkey), path, command) as service:
        service.until("redis", None, 5)
        with Prober(service, "/health/live") as live:
            fill_log(service)
        assert max(reply.seconds for reply in live.replies) < 1
        seen = read(reader, LINES)
        fill_log(service)
        terminate(service)
    assert seen.count(NOWHERE) == LINES


def read(descriptor: int, lines: int) -> bytes:
    """Read until the log has *lines* access lines, for at most 5 s."""
    seen, deadline = b"", time.monotonic() + 5
    while seen.count(NOWHERE) < lines and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            seen += os.read(descriptor, 65536)
    return seen


def test_long_log_lines_that_are_not_read_fill_no_memory(
    valkey: Valkey, pipe: tuple[Path, int]
) -> None:
    """The paths are as long as allowed, and each byte takes nine characters in the log."""
    with running(on(None, valkey), pipe[0]) as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
        process, sizes = psutil.Process(service.process.pid), list[int]()
        with contextlib.closing(connection):
            for _ in range(400):
                connection.request("GET", "/" + "%ff" * 5000)
                connection.getresponse().read()
                sizes.append(process.memory_info().rss)
    # The first requests import modules, which stay in memory.
    assert sizes[-1] - sizes[50] < 5 * 2**20


def test_a_log_without_a_reader_only_loses_lines(valkey: Valkey, pipe: tuple[Path, int]) -> None:
    """The service keeps serving, and shuts down properly."""
    path, reader = pipe
    with running(on(None, valkey), path) as service:
        service.until("redis", None, 5)
        os.close(reader)
        fill_log(service)
        assert terminate(service) == 0


def test_closed_outputs_receive_no_log(valkey: Valkey, tmp_path: Path) -> None:
    """Descriptors 1 and 2 then belong to connections, and no log line is written to them."""
    command = shell('exec "$@" >&- 2>&-')
    with running(on(None, valkey), tmp_path / "log", command) as service:
        service.until("redis", None, 5)
        fill_log(service)
        assert terminate(service) == 0
    assert not (tmp_path / "log").read_bytes()


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk that is full except for one page."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk))
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("*** A FULL DISK IS NOT TESTED: mounting one needs root ***")
    (disk / "filler").write_bytes(bytes(60 * 1024))
    yield disk
    umount = ("umount", "--lazy", str(disk))
    subprocess.run(umount, check=True)


@all_servers
def test_a_full_disk_only_loses_log_lines(
    valkey: Valkey, disk: Path, command: tuple[str, ...]
) -> None:
    """When there is space again, a line reports how many log lines dropped."""
    log = disk / "log"
    environ = {
        **on(None, valkey),
        "TMPDIR": str(disk),
        "MAINTENANCE_FILE": str(disk / "maintenance"),
    }
    with running(environ, log, command) as service:
        service.until("redis", None, 5)
        fill_log(service)
        (disk / "filler").unlink()
        service.ask("/nowhere")
        deadline = time.monotonic() + 5
        while "log lines dropped" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        terminate(service)
    (line,) = [line for line in log.read_text().splitlines() if "log lines dropped" in line]
    assert 0 < json.loads(line)["lines"] <= LINES


def test_the_service_survives_64_descriptors(valkey: Valkey, tmp_path: Path) -> None:
    """Without free descriptors it neither ends nor spins, and answers again when some are free."""
    limited = shell('ulimit -n 64; exec "$@"')
    with running(on(None, valkey), tmp_path / "log", limited) as service:
        service.until("redis", None, 5)
        with open_connections(service, 80):
            process = psutil.Process(service.process.pid)
            before = process.cpu_times()
            time.sleep(1.5)
            after = process.cpu_times()
            assert after.user + after.system - before.user - before.system < 0.7
        await_answer(service)
        service.until("redis", None, 5)
        assert service.ask("/health/ready").code == 200
        assert terminate(service) == 0


def await_answer(service: Service) -> None:
    """Wait for an answer. A new connection may arrive before the service has closed the others."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            assert service.ask("/health/live").code == 200
            return
        time.sleep(0.01)
    service.ask("/health/live")


@contextlib.contextmanager
def open_connections(service: Service, count: int) -> Iterator[None]:
    """Keep *count* connections open."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        yield


@pytest.mark.alone
def test_a_hanging_secret_only_fails_the_check_that_reads_it(
    postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    """The file may be on a dead network share. Neither other checks nor the shutdown wait."""
    secret = tmp_path / "secret"
    secret.write_text(valkey.password_file.read_text())
    environ = {**on(postgres, valkey), "REDIS_PASSWORD_FILE": str(secret)}
    with running(environ, tmp_path / "log") as service:
        for name in ("redis", "postgres"):
            service.until(name, None, 5)
        with (
            Prober(service, "/health/live") as live,
            Prober(service, "/health/checks/postgres") as other,
            hanging(secret),
        ):
            service.until("redis", "timeout", 0.5 + BOUND)
            time.sleep(BOUND)
            assert '"reason": "timeout"' in (tmp_path / "log").read_text()
        for reply in live.replies + other.replies:
            assert (reply.code, reply.seconds < 1) == (200, True)
        service.until("redis", None, BOUND)
        with hanging(secret):
            service.until("redis", "timeout", 0.5 + BOUND)
            assert terminate(service) == 0


def test_an_endless_attempt_does_not_delay_the_shutdown(valkey: Valkey, tmp_path: Path) -> None:
    """The custom check ignores all cancellations, the last one of asyncio included."""
    with running(on(None, valkey), tmp_path / "log", STUCK_CHECK) as service:
        service.until("mine", "stuck", 5)
        assert terminate(service) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
