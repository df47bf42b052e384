import gc
import json
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from app import __version__, cli
from app.cli import COMMANDS, imported
from tests.cli.conftest import Call, end, start
from tests.service import ROOT


# Run a command, then tell what it has imported.
TELLING = """
import json, sys
from app.cli import main
try:
    main()
finally:
    print(json.dumps(list(sys.modules)))
"""

# Set a server up, and tell the same.
SERVING = """
import json, sys
from types import SimpleNamespace
from app.main import app
from app.server.server import create_server
settings = SimpleNamespace(host="127.0.0.1", port=0, log_level="info", shutdown_seconds=1)
create_server(app, settings).config.load()
create_server(app, settings).config.get_loop_factory()
print(json.dumps(list(sys.modules)))
"""
HEAVY = {"asyncio", "asyncpg", "fastapi", "pydantic", "redis", "rich", "sqlalchemy", "uvicorn"}


@pytest.mark.parametrize(
    ("arguments", "own"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["check"], {"app.cli.check"}),
        (["check", "redis", "--url", "http://127.0.0.1:1"], {"app.cli.check"}),
        (["nonsense"], set()),
    ],
)
def test_a_command_imports_nothing_of_the_service(arguments: list[str], own: set[str]) -> None:
    """A health check every second can't pay for what the service needs."""
    command = [sys.executable, "-c", TELLING, *arguments]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    modules = set(json.loads(told.stdout.splitlines()[-1]))
    assert {name for name in modules if name.startswith("app")} == {"app", "app.cli", *own}
    assert not HEAVY & modules


def test_a_server_starts_without_what_few_need() -> None:
    """Templates and websockets would take an eighth of a start, tokens and PostgreSQL a third."""
    command = [sys.executable, "-c", SERVING]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(json.loads(told.stdout))
    assert {"fastapi", "uvloop"} <= modules
    assert not {"jinja2", "jwt", "sqlalchemy", "websockets"} & modules


def test_help_tells_each_command_in_a_sentence() -> None:
    """So does `vitals` alone."""
    result = end(start("--help"))
    assert result == end(start()) == (0, result.out, "")
    words = " ".join(result.out.split())
    assert all(f"{name} {sentence}" in words for name, sentence in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_opens_with_the_sentence_that_help_tells(
    call: Call, name: str
) -> None:
    """It is written in two places, and is one."""
    result = call(name, "--help")
    assert result.code == 0
    usage, _, rest = result.out.partition("\n\n")
    assert usage.startswith(f"Usage: vitals {name} [OPTIONS]")
    assert " ".join(rest.split()).startswith(COMMANDS[name])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("check", "PORT; default: 8000"),
        ("check", "HOST; default: 127.0.0.1"),
        ("check", "default: ready"),
        ("check", "http://HOST:PORT"),
        ("secrets init", "default: secrets"),
        ("secrets rotate", "jwt_secret"),
        ("maintenance on", "MAINTENANCE_FILE"),
        ("maintenance off", "PORT; default: 8000"),
    ],
)
def test_help_tells_the_defaults(call: Call, arguments: str, told: str) -> None:
    """And where they come from."""
    assert told in " ".join(call(*arguments.split(), "--help").out.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("chek", "vitals: No such command 'chek'. Did you mean 'check'? See vitals --help."),
        ("--chek", "vitals: No such option: --chek (Possible options: --version)"),
        ("check --ulr x", "vitals: No such option: --ulr (Possible options: --url)"),
        ("check a b", "vitals: Got unexpected extra argument(s) (b) See vitals check --help."),
        ("secrets", "vitals: Missing command. See vitals secrets --help."),
        ("secrets rotate", "vitals: Missing argument 'NAME'. See vitals secrets rotate --help."),
        ("maintenance maybe", "vitals: No such command 'maybe'. See vitals maintenance --help."),
        ("maintenance on --port 0", "vitals: Invalid value for '--port' (env var: 'PORT'): Input"),
    ],
)
def test_what_can_not_be_understood_is_told_in_one_line(
    call: Call, arguments: str, line: str
) -> None:
    """With exit code 2, and the way to help."""
    result = call(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith(line.partition(" (Possible")[0])
    assert result.err.endswith(" --help.\n")


def test_the_version_is_told(call: Call) -> None:
    """Whatever follows."""
    assert call("--version") == call("--version", "check") == (0, f"vitals {__version__}\n", "")


def test_no_garbage_is_looked_for_until_a_command_is_there(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it imports stays; afterwards all is as before."""
    enabled = []

    def noted(name: str) -> Any:
        enabled.append(gc.isenabled())
        return imported(name)

    monkeypatch.setattr(cli, "imported", noted)
    assert call("probes", "docker").code == 0
    assert enabled == [False]
    assert gc.isenabled()


# Ctrl-C reaches the thread that asks, so that it ends no wait of the main one: as if it had come
# just before that.
UNHEARD = """
import signal, sys
from app.cli import check, main
ask = check.request
def heard(*arguments):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    return ask(*arguments)
check.request = heard
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
del sys.argv[:3]  # what would be run without this
main()
"""


@pytest.mark.parametrize(
    "before", [(), (sys.executable, "-c", UNHEARD)], ids=["at once", "in time"]
)
def test_ctrl_c_ends_a_command_without_a_traceback(before: tuple[str, ...]) -> None:
    """It has the exit code of every program that it ends."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        # A shell has its background jobs ignore Ctrl-C, and what they start inherits that.
        ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = start("check", before=before, PORT=str(silent.getsockname()[1]))
        signal.signal(signal.SIGINT, ignored)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            assert end(process, within=3) == (130, "", "")
