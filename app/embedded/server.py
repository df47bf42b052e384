"""A real server on a loopback port, gone with its owner."""

import contextlib
import secrets
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from app.embedded.installation import EmbeddedServerError, give, user
from app.embedded.lifeline import Lifeline


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
        self._lifeline = Lifeline(
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
        self._pid = self._lifeline.run(*self.command())
        deadline = time.monotonic() + START
        while not self.ready():
            if self._lifeline.ended(LOOK) is not None or time.monotonic() > deadline:
                self._fail("does not come up")

    def stop(self) -> None:
        """End it at once, if it runs, and keep its data."""
        self._lifeline.end()
        self._pid = 0

    def close(self) -> None:
        """End it, and remove its folder."""
        self._lifeline.close()
        self._reservation.close()
        self._pid = 0

    def finish(self, command: list[str]) -> None:
        """Run a program to its end, as the server's user."""
        self._lifeline.run(command)
        if self._lifeline.ended(START) != 0:
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
