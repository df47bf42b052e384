"""A real server on a free loopback port, gone with its owner."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self


LEASH = Path(__file__).with_name("leash.py")

# Servers don't run as root: `nobody` does it for them.
NOBODY = 65534

# Seconds in which a server must have come up.
START = 15


class EmbeddedServerError(Exception):
    """One line that says why a server can't run here, and the remedy."""


class Server(ABC):
    """A server with a password, its data in a temporary folder of its own.

    Attributes:
        port: free when it was chosen; it stays the same over restarts.
        password_file: holds the password.
        arguments: further ones, from the next start on.

    """

    ending = "SIGTERM"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vitals-"))
        self.password_file = self.folder / "password"
        self.password_file.write_text(secrets.token_urlsafe(24))
        self.password_file.chmod(0o444)
        self.port = _free_port()
        self.arguments: tuple[str, ...] = ()
        self.log = self.folder / "log"
        self._leash: subprocess.Popen[bytes] | None = None
        self.give(self.folder)

    @abstractmethod
    def command(self) -> list[str]:
        """Tell what to run; called before each start."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the server takes connections."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process of the server itself, while it runs."""

    def start(self) -> None:
        """Run the server, and wait until it takes connections.

        Raises:
            EmbeddedServerError: it does not come up; what it says last is told.

        """
        self.stop()
        owner = str(NOBODY) if os.geteuid() == 0 else ""
        leash = [sys.executable, "-I", "-S", str(LEASH), self.ending, str(self.folder), owner]
        with self.log.open("ab") as log:
            self._leash = subprocess.Popen(  # noqa: S603 - a program of this package
                [*leash, *self.command(), *self.arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for the owner
            )
        deadline = time.monotonic() + START
        while not self.ready():
            if self._leash.poll() is not None or time.monotonic() > deadline:
                self.fail("does not come up")
            time.sleep(0.005)

    def stop(self) -> None:
        """End the server at once, if it runs, and keep its data."""
        leash, self._leash = self._leash, None
        if leash:
            leash.communicate(b"keep")

    def fail(self, problem: str) -> None:
        """Raise what the server says last."""
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        msg = f"the embedded {type(self).__name__} {problem}; it says: {last[0]}"
        raise EmbeddedServerError(msg)

    def give(self, path: Path) -> None:
        """Hand a file or folder to the user that the server runs as."""
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)

    def program(self, package: str, name: str, path: str) -> Path:
        """Find a program of a wheel, where the server's user can run it: a copy, if need be.

        Raises:
            EmbeddedServerError: the wheel is not installed, or not for this machine.

        """
        found = importlib.util.find_spec(package)
        folder = Path(found.origin).parent if found and found.origin else None
        program = next(folder.glob(path), None) if folder else None
        if not folder or not program:
            msg = f"{name} is not installed: run make .venv, or pip install 'vitals[development]'"
            raise EmbeddedServerError(msg)
        if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in program.parents):
            return program
        return self._copied(folder, program)

    def _copied(self, package: Path, program: Path) -> Path:
        """Copy a wheel's package, and its libraries where it has any beside it."""
        site, copy = package.parent, self.folder / "installation"
        if not copy.exists():
            for part in (package.name, f"{package.name}.libs"):
                if (site / part).exists():
                    shutil.copytree(site / part, copy / part)
        return copy / program.relative_to(site)

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

    def close(self) -> None:
        """End the server, and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port
