import gc
import json
import signal
import socket
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from app import __version__, cli
from app.cli import COMMANDS
from tests.support.service import ROOT
from tests.unit.cli.conftest import Call, end, start


# Run a command, then print what it has imported.
PRINT_MODULES = """
import json, sys
from app.cli import main
try:
    main()
finally:
    print(json.dumps(list(sys.modules)))
"""

# Set up a server, and print the same.
SET_UP_SERVER = """
import json, sys
from types import SimpleNamespace
from app.main import app
from app.server.server import create_server
terms = {"log_level": "info", "shutdown_seconds": 1, "keep_alive_seconds": 5}
settings = SimpleNamespace(host="127.0.0.1", port=0, **terms)
create_server(app, settings).config.load()
create_server(app, settings).config.get_loop_factory()
print(json.dumps(list(sys.modules)))
"""
HEAVY = {"asyncio", "asyncpg", "fastapi", "pydantic", "redis", "sqlalchemy", "typer", "uvicorn"}


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
def test_check_does_not_import_the_service(arguments: list[str], own: set[str]) -> None:
    """A health check that runs every second must start fast."""
    command = [sys.executable, "-c", PRINT_MODULES, *arguments]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    modules = set(json.loads(process.stdout.splitlines()[-1]))
    assert {name for name in modules if name.startswith("app")} == {"app", "app.cli", *own}
    assert not HEAVY & modules


def test_the_server_starts_without_optional_libraries() -> None:
    """Templates and websockets would add an eighth to the start, tokens and PostgreSQL a third."""
    command = [sys.executable, "-c", SET_UP_SERVER]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(json.loads(process.stdout))
    assert {"fastapi", "uvloop"} <= modules
    assert not {"jinja2", "jwt", "sqlalchemy", "websockets"} & modules


def test_help_lists_each_command_with_a_sentence() -> None:
    """`vitals` without arguments prints the same."""
    result = end(start("--help"))
    assert result == end(start()) == (0, result.out, "")
    words = " ".join(result.out.split())
    assert all(f"{name} {sentence}" in words for name, sentence in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_starts_with_its_sentence_in_the_list(call: Call, name: str) -> None:
    """The sentence is in two places."""
    result = call(name, "--help")
    assert result.code == 0
    usage, _, rest = result.out.partition("\n\n")
    assert usage.startswith(f"Usage: vitals {name} [OPTIONS]")
    assert " ".join(rest.split()).startswith(COMMANDS[name])


@pytest.mark.parametrize("arguments", ["", "serve", "check", "secrets", "secrets rotate"])
def test_h_is_short_for_help(call: Call, arguments: str) -> None:
    """Of `vitals`, of a command and of a command in a group."""
    words = arguments.split()
    assert call(*words, "-h") == call(*words, "--help")
    assert call(*words, "-h").code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
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
def test_help_shows_defaults_and_variables(call: Call, arguments: str, text: str) -> None:
    """Each default, or how it is made."""
    assert text in " ".join(call(*arguments.split(), "--help").out.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("chek", "vitals: No such command 'chek'. Did you mean 'check'? See vitals --help."),
        ("--chek", "vitals: No such option '--chek'. Did you mean '--help'? See vitals --help."),
        (
            "check --ulr x",
            "vitals: No such option '--ulr'. Did you mean '--url'? See vitals check --help.",
        ),
        (
            "check http://user:CANARY@host/",
            "vitals: A URL is not the name of a check. Use --url URL. See vitals check --help.",
        ),
        (
            "check live localhost:8000",
            "vitals: A URL is not the name of a check. Use --url URL. See vitals check --help.",
        ),
        *[
            (
                f"check --port {port}",
                (
                    "vitals: Invalid value: PORT must be a whole number from 1 to 65535. "
                    "See vitals check --help."
                ),
            )
            for port in ("99999", "0", "-1", "x", "1.5", "٣", "1" * 5000)
        ],
        ("check a b", "vitals: Expected one name, got 2. See vitals check --help."),
        ("secrets", "vitals: Missing command. See vitals secrets --help."),
        ("secrets rotate", "vitals: Missing argument 'NAME'. See vitals secrets rotate --help."),
        ("maintenance maybe", "vitals: No such command 'maybe'. See vitals maintenance --help."),
        ("serve now", "vitals: Got unexpected extra argument (now). See vitals serve --help."),
        (
            "maintenance on --port 0",
            (
                "vitals: Invalid value for '--port' (env var: 'PORT'): PORT must be a whole number "
                "from 1 to 65535. See vitals maintenance on --help."
            ),
        ),
    ],
)
def test_a_usage_error_is_one_line(call: Call, arguments: str, line: str) -> None:
    """With exit code 2, and the command that prints the help."""
    result = call(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert result.err == f"{line}\n"


def test_version_is_printed(call: Call) -> None:
    """Also if a command follows."""
    assert call("--version") == call("--version", "check") == (0, f"vitals {__version__}\n", "")


def test_the_garbage_collector_is_off_during_imports(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on again afterwards."""
    enabled = []

    def import_and_record(name: str) -> Any:
        enabled.append(gc.isenabled())
        return import_module(name)

    monkeypatch.setattr(cli, "import_module", import_and_record)
    assert call("probes", "docker").code == 0
    assert enabled == [False]
    assert gc.isenabled()


# Sends SIGINT while the command line is imported: when it imports click.
EARLY_SIGINT = """
import os, signal, sys
class Interrupt:
    def find_spec(name, *_):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt)
signal.signal(signal.SIGINT, signal.default_int_handler)
from app.__main__ import main
main()
"""


def test_ctrl_c_during_the_import_prints_nothing() -> None:
    """With exit code 130, as later."""
    command = [sys.executable, "-c", EARLY_SIGINT]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")


# SIGINT is delivered to the thread that fetches, so it interrupts no wait of the main thread: as if
# it had arrived just before that.
LATE_SIGINT = """
import signal, sys
from app.cli import check, main
fetch = check.fetch
def fetch_with_sigint(*arguments):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    return fetch(*arguments)
check.fetch = fetch_with_sigint
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
del sys.argv[:3]  # the command without this prefix
main()
"""


@pytest.mark.parametrize(
    "before", [(), (sys.executable, "-c", LATE_SIGINT)], ids=["at once", "in time"]
)
def test_ctrl_c_ends_a_command_without_a_traceback(before: tuple[str, ...]) -> None:
    """With exit code 130."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        # Background jobs of a shell ignore SIGINT, and their children inherit that.
        ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = start("check", before=before, PORT=str(silent.getsockname()[1]))
        signal.signal(signal.SIGINT, ignored)
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            assert end(process, within=3) == (130, "", "")
