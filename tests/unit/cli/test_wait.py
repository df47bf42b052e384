import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.devservers import Postgres, Valkey
from tests.support.faults.postgres import standby
from tests.support.faults.redis import loading
from tests.support.faults.servers import frozen, killed
from tests.support.ports import free_port
from tests.support.service import ROOT, VITALS, on
from tests.unit.cli.conftest import Call, end, start


# Prints a line when it can be ended, and ends with 7 at SIGTERM or Ctrl-C.
COMMAND = """
import signal, sys
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: sys.exit(7))
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def wait(environ: Any, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command in a new process."""
    return start("wait", *arguments, **environ)


def tcp(*ports: int, terms: str = "") -> dict[str, str]:
    """Return the settings of checks of TCP ports: first, second and so on."""
    names = ("first", "second")
    checks = [
        f'"{name}": {{"url": "tcp://127.0.0.1:{port}"{terms}}}'
        for name, port in zip(names, ports, strict=False)
    ]
    return {"CHECKS": f"{{{', '.join(checks)}}}"}


@pytest.mark.parametrize(
    ("fault", "reason"), [(frozen, "timeout"), (killed, "refused"), (loading, "starting")]
)
def test_the_command_runs_when_the_server_answers_again(
    own_valkey: Valkey, fault: Callable[[Valkey], AbstractContextManager[None]], reason: str
) -> None:
    """It gets the standard output for itself."""
    with fault(own_valkey):
        waiting = wait(on(valkey=own_valkey), "--", "echo", "-n", "served")
        assert waiting.stderr
        assert waiting.stderr.readline() == f"redis: {reason}\n"
    result = end(waiting)
    assert (result.code, result.out) == (0, "served")
    assert result.err.splitlines()[-1] == "redis: pass"


def test_a_postgres_that_recovers_is_not_ready(own_postgres: Postgres) -> None:
    """Although its port accepts connections."""
    with standby(own_postgres, hot=False):
        waiting = wait(on(postgres=own_postgres), "--", "echo", "-n", "served")
        assert waiting.stderr
        assert waiting.stderr.readline() == "postgres: starting\n"
    result = end(waiting)
    assert (result.code, result.out) == (0, "served")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_and_the_exit_code_are_the_commands_own(
    valkey: Valkey, number: signal.Signals
) -> None:
    """It replaces the waiting process."""
    running = wait(on(valkey=valkey), "redis", "--", sys.executable, "-c", COMMAND)
    assert running.stdout
    assert running.stdout.readline() == "ready\n"
    running.send_signal(number)
    assert end(running).code == 7


def test_the_command_gets_the_default_signals_of_a_shell(valkey: Valkey) -> None:
    """Python ignores SIGPIPE and SIGXFSZ, and a process inherits what is ignored."""
    lines = end(wait(on(valkey=valkey), "--", "cat", "/proc/self/status")).out
    ignored = next(line for line in lines.splitlines() if line.startswith("SigIgn"))
    masks = [1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ)]
    assert not int(ignored.split()[1], 16) & sum(masks)


def test_checks_that_do_not_pass_in_time_are_printed_with_the_remedy(call: Call) -> None:
    """The command does not run."""
    # If it ran it would replace this process, and its exit code must not be that of passed tests.
    result = call("wait", "--timeout", "0.5", "--", "false", **tcp(free_port()))
    assert (result.code, result.out) == (1, "")
    shown, reason, last = result.err.splitlines()
    assert shown == "first: refused"
    assert reason.startswith("vitals: first: refused. ")
    assert last == "vitals: gave up after 0.5 s."


def test_too_few_successes_are_counted(call: Call, listener: socket.socket) -> None:
    """The check has passed, and the reason of an earlier failure is over."""
    environ = tcp(listener.getsockname()[1], terms=', "success_threshold": 2, "interval": 60')
    shown, reason, _ = call("wait", "--timeout", "0.5", **environ).err.splitlines()
    assert shown == "first: pass"
    assert reason == "vitals: first: passes, with 1 of 2 successes in a row. Raise --timeout."


def test_only_required_or_named_checks_are_waited_for(call: Call, listener: socket.socket) -> None:
    """An optional one may be named."""
    environ = {
        **tcp(listener.getsockname()[1], free_port()),
        "OPTIONAL_CHECKS": "second",
    }
    assert call("wait", **environ) == (0, "", "first: pass\n")
    result = call("wait", "second", "--timeout", "0.2", **environ)
    assert (result.code, result.err.splitlines()[0]) == (1, "second: refused")


def test_the_success_threshold_applies_from_the_first_attempt(
    call: Call, listener: socket.socket
) -> None:
    """A server that starts may answer once and restart. An interval of a minute is shortened."""
    environ = tcp(listener.getsockname()[1], terms=', "success_threshold": 2, "interval": 60')
    assert call("wait", **environ).code == 0
    listener.settimeout(0)
    for _ in range(2):
        listener.accept()[0].close()
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "line"),
    [
        (["third"], {}, 2, "vitals: 'third' is not a check. Use first. See vitals wait --help."),
        *[
            (["--timeout", text], {}, 2, "vitals: Invalid value for '--timeout': must be a")
            for text in ("-1", "86401", "nan", "1s")
        ],
        (["--", "no-such-command"], {}, 127, "vitals: no-such-command: no such command."),
        (["--", __file__], {}, 126, f"vitals: {__file__}: not executable. Run chmod +x."),
        ([], {"CHECKS": ""}, 78, "vitals: DATABASE_URL, REDIS_URL, CHECKS, CHECKS_FILE: none of"),
        ([], {"CHECKS": "["}, 78, "vitals: CHECKS: invalid JSON at line 1, column 2. Correct it."),
    ],
)
def test_mistakes_end_it_at_once(
    call: Call, arguments: list[str], environ: dict[str, str], code: int, line: str
) -> None:
    """With one line and a code of their own."""
    result = call("wait", *arguments, **{**tcp(free_port()), **environ})
    assert result.code == code
    assert result.err.startswith(line)
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait(number: signal.Signals, code: int) -> None:
    """Also without a time limit, and as process 1 of a container."""
    waiting = wait(tcp(free_port()), "--timeout", "0")
    assert waiting.stderr
    assert waiting.stderr.readline() == "first: refused\n"
    waiting.send_signal(number)
    assert end(waiting) == (code, "", "")


def test_a_file_that_is_no_program_is_named(listener: socket.socket, tmp_path: Path) -> None:
    """The kernel refuses it only when it runs."""
    program = tmp_path / "program"
    program.write_bytes(b"\0")
    program.chmod(0o755)
    result = end(wait(tcp(listener.getsockname()[1]), "--", program))
    assert (result.code, result.err.splitlines()[-1]) == (
        126,
        f"vitals: {program}: Exec format error.",
    )


def test_a_terminal_shows_one_line_per_check() -> None:
    """A change replaces the lines."""
    first, second = free_port(), free_port()
    main, terminal = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while data := os.read(main, 1000):
                shown.extend(data)
                if b"second: refused" in shown:
                    opened.set()
        except OSError:
            return

    opened = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    environ = {**os.environ, **tcp(first, second)}
    waiting = subprocess.Popen([*VITALS, "wait"], cwd=ROOT, env=environ, stderr=terminal)
    os.close(terminal)
    assert opened.wait(10)
    with socket.create_server(("127.0.0.1", first)), socket.create_server(("127.0.0.1", second)):
        assert waiting.wait(10) == 0
    reader.join()
    os.close(main)
    lines = shown.decode().split("\r\n")
    assert lines[-3:] == ["\x1b[2A\x1b[Jfirst: pass", "second: pass", ""]
