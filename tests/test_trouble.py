"""The service where it starts, and goes on, on a machine that has troubles of its own."""

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

from app.devservers import Postgres, Valkey
from tests.faults.servers import frozen, killed
from tests.hanging_file import hanging
from tests.ports import free_port
from tests.service import SERVE, UVICORN, Prober, Service, clean, on, running
from tests.troubled_app import HOUR


BOUND = 0.2 + 0.4 + 0.5
TROUBLED = (sys.executable, "-m", "tests.troubled_app", "app", "serve")
STUCK = (sys.executable, "-m", "tests.stuck_app")

# More than the pipes and disks of these tests hold, at a line each.
LINES = 300

everywhere = pytest.mark.parametrize("command", [SERVE, UVICORN], ids=["vitals", "uvicorn"])


def shell(line: str, command: tuple[str, ...] = SERVE) -> tuple[str, ...]:
    """Have a shell prepare something for a command, as `"$@"`."""
    return ("sh", "-c", line, "sh", *command)


def chatter(service: Service) -> None:
    """Have the service log much, and see it answer each time."""
    for _ in range(LINES):
        assert service.ask("/nowhere").code == 404
    assert service.ask("/health/ready").code == 200


def ends(service: Service) -> int:
    """Have the service end, and tell its code; it takes no longer than it should."""
    service.process.terminate()
    return service.process.wait(4)


@pytest.mark.alone
def test_dependencies_may_come_after_the_service(
    own_postgres: Postgres, own_valkey: Valkey, tmp_path: Path
) -> None:
    """It starts, says which of them are missing and why, and is ready when they have come."""
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


def test_secrets_may_be_mounted_after_a_first_start(valkey: Valkey, tmp_path: Path) -> None:
    """That start tells what is missing and ends with 78; whoever restarts it finds it serving."""
    secret = tmp_path / "redis_password"
    environ = {**on(None, valkey), "REDIS_PASSWORD_FILE": str(secret)}
    code, told = refused(environ)
    assert code == os.EX_CONFIG
    assert f"{secret} (REDIS_PASSWORD_FILE) is missing" in told
    secret.write_text(valkey.password_file.read_text())
    with running(environ, tmp_path / "log") as service:
        service.until("redis", None, 5)


def refused(environ: dict[str, str]) -> tuple[int, str]:
    """Tell how a service ends that can't start, and what it says."""
    environ = {**clean(os.environ), **environ, "PORT": str(free_port())}
    done = subprocess.run(SERVE, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.alone
def test_a_wall_clock_that_steps_changes_dates_and_nothing_else(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    """An hour ahead and back: no answer turns, and a fault is told as soon as ever."""
    with running(on(None, own_valkey), tmp_path / "log", TROUBLED) as service:
        service.until("redis", None, 5)
        for way in (1, -1):
            before = observed(service)
            with Prober(service, "/health/ready") as ready:
                service.process.send_signal(signal.SIGUSR2)
                time.sleep(BOUND * 1.5)
            assert {reply.code for reply in ready.replies} == {200}
            assert abs(observed(service) - before - way * HOUR) < 60
            with frozen(own_valkey):
                service.until("redis", "timeout", BOUND)
            service.until("redis", None, BOUND)


def observed(service: Service) -> float:
    """Tell the date of the last result."""
    told = service.ask("/health").json["checks"]["redis"]["observed_at"]
    return datetime.fromisoformat(told).timestamp()


@pytest.fixture(name="pipe")
def _pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A pipe by name that holds little, and its reading end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    yield path, reader
    with contextlib.suppress(OSError):
        os.close(reader)


@everywhere
def test_a_log_that_nobody_reads_holds_nothing_up(
    valkey: Valkey, pipe: tuple[Path, int], command: tuple[str, ...]
) -> None:
    """Neither an answer nor the end; whoever reads it later finds each line."""
    path, reader = pipe
    with running(on(None, valkey), path, command) as service:
        service.until("redis", None, 5)
        with Prober(service, "/health/live") as live:
            chatter(service)
        assert max(reply.seconds for reply in live.replies) < 1
        seen = read(reader, LINES)
        chatter(service)
        ends(service)
    assert seen.count(b"GET /nowhere") == LINES


def read(descriptor: int, lines: int) -> bytes:
    """Read until so many answers have been told."""
    seen, deadline = b"", time.monotonic() + 5
    while seen.count(b"GET /nowhere") < lines and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            seen += os.read(descriptor, 65536)
    return seen


def test_long_lines_that_no_one_reads_fill_no_memory(
    valkey: Valkey, pipe: tuple[Path, int]
) -> None:
    """Paths as long as a head may be, of bytes that take nine characters each in a line."""
    with running(on(None, valkey), pipe[0]) as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
        process, sizes = psutil.Process(service.process.pid), list[int]()
        with contextlib.closing(connection):
            for _ in range(400):
                connection.request("GET", "/" + "%ff" * 5000)
                connection.getresponse().read()
                sizes.append(process.memory_info().rss)
    # What the first requests import stays.
    assert sizes[-1] - sizes[50] < 5 * 2**20


def test_a_log_whose_reader_is_gone_costs_lines_alone(
    valkey: Valkey, pipe: tuple[Path, int]
) -> None:
    """It serves on, and ends as it should."""
    path, reader = pipe
    with running(on(None, valkey), path) as service:
        service.until("redis", None, 5)
        os.close(reader)
        chatter(service)
        assert ends(service) == 0


def test_nothing_is_written_where_there_is_no_output(valkey: Valkey, tmp_path: Path) -> None:
    """The numbers that were the log's belong to connections then, and get no line."""
    command = shell('exec "$@" >&- 2>&-')
    with running(on(None, valkey), tmp_path / "log", command) as service:
        service.until("redis", None, 5)
        chatter(service)
        assert ends(service) == 0
    assert not (tmp_path / "log").read_bytes()


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that holds little, and is full but for a page."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk))
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("*** A FULL DISK IS NOT TESTED: only root can mount one ***")
    (disk / "filler").write_bytes(bytes(60 * 1024))
    yield disk
    umount = ("umount", "--lazy", str(disk))
    subprocess.run(umount, check=True)


@everywhere
def test_a_full_disk_costs_lines_alone(
    valkey: Valkey, disk: Path, command: tuple[str, ...]
) -> None:
    """Those that don't fit; when there is room again a line says how many they were."""
    log = disk / "log"
    environ = {
        **on(None, valkey),
        "TMPDIR": str(disk),
        "MAINTENANCE_FILE": str(disk / "maintenance"),
    }
    with running(environ, log, command) as service:
        service.until("redis", None, 5)
        chatter(service)
        (disk / "filler").unlink()
        service.ask("/nowhere")
        deadline = time.monotonic() + 5
        while "log lines dropped" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        ends(service)
    (told,) = [line for line in log.read_text().splitlines() if "log lines dropped" in line]
    assert 0 < json.loads(told)["lines"] <= LINES


def test_it_serves_with_64_descriptors(valkey: Valkey, tmp_path: Path) -> None:
    """When they have run out it neither ends nor spins, and answers again when some are free."""
    limited = shell('ulimit -n 64; exec "$@"')
    with running(on(None, valkey), tmp_path / "log", limited) as service:
        service.until("redis", None, 5)
        with taken(service, 80):
            process = psutil.Process(service.process.pid)
            before = process.cpu_times()
            time.sleep(1.5)
            after = process.cpu_times()
            assert after.user + after.system - before.user - before.system < 0.7
        answers_again(service)
        service.until("redis", None, 5)
        assert service.ask("/health/ready").code == 200
        assert ends(service) == 0


def answers_again(service: Service) -> None:
    """Wait until it does; it may hear of a new connection before it has heard of closed ones."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            assert service.ask("/health/live").code == 200
            return
        time.sleep(0.01)
    service.ask("/health/live")


@contextlib.contextmanager
def taken(service: Service, count: int) -> Iterator[None]:
    """Hold so many connections open."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
        yield


@pytest.mark.alone
def test_a_secret_that_hangs_turns_the_check_that_reads_it_alone(
    postgres: Postgres, valkey: Valkey, tmp_path: Path
) -> None:
    """It may lie on a share whose server is gone: nothing else waits, and neither does the end."""
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
            assert ends(service) == 0


def test_an_attempt_that_never_ends_does_not_hold_the_end_up(
    valkey: Valkey, tmp_path: Path
) -> None:
    """Not even one of a user's own that swallows each cancellation, asyncio's last one too."""
    with running(on(None, valkey), tmp_path / "log", STUCK) as service:
        service.until("mine", "stuck", 5)
        assert ends(service) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
