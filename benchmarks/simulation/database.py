"""A model of the database that a fleet shares. It counts its requests, and fails on demand."""

import asyncio
import math
from dataclasses import dataclass, field


# Seconds that a statement takes, and a connection that does not have to queue.
STATEMENT, CONNECTION = 0.001, 0.003


@dataclass
class Database:
    """One server, which accepts a limited number of connections per second, one after another.

    A client that gave up still takes its turn in the queue, because a server starts a process for
    each connection before it notices that the client is gone.

    Attributes:
        accepts: new connections that it accepts per second.
        backlog: length of the queue; further connection attempts get no answer.
        up: set while the server works.
        silent: whether a failed server hangs instead of refusing connections.
        open: number of open connections; `peak` is its maximum.
        attempts: time of each connection attempt; `statements` has the time of each statement.
        resets: how many times it has closed all sessions.
    """

    accepts: float = math.inf
    backlog: float = math.inf
    silent: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0
    peak: int = 0
    attempts: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)
    resets: int = 0
    _queue_end: float = 0.0

    def __post_init__(self) -> None:
        self.up.set()

    def fail(self, *, silent: bool = False) -> None:
        """Refuse connections and close all sessions, or hang and close none."""
        self.silent = silent
        self.resets += not silent
        self.up.clear()

    def repair(self) -> None:
        """Work again."""
        self.silent = False
        self.up.set()

    async def connect(self) -> "Session":
        """Queue for a connection, and return its session."""
        now = asyncio.get_running_loop().time()
        self.attempts.append(now)
        await self._require_up()
        waiting = max(0.0, self._queue_end - now)
        if waiting * self.accepts >= self.backlog:
            await asyncio.get_running_loop().create_future()
        self._queue_end = now + waiting + 1 / self.accepts
        await asyncio.sleep(waiting + CONNECTION)
        await self._require_up()
        self.open += 1
        self.peak = max(self.peak, self.open)
        return Session(self, self.resets)

    async def execute(self) -> None:
        """Run a statement."""
        self.statements.append(asyncio.get_running_loop().time())
        await self._require_up()
        await asyncio.sleep(STATEMENT)

    async def _require_up(self) -> None:
        if self.silent:
            await self.up.wait()
        if not self.up.is_set():
            raise ConnectionRefusedError


@dataclass
class Session:
    """A session of the probe.

    Attributes:
        resets: the database's count of resets when the session began.
        runs_statement: whether `ask` runs a statement; with `require=connect` it does not.
    """

    database: Database
    resets: int
    runs_statement: bool = True

    async def query(self) -> None:
        """Run a statement."""
        if self.resets != self.database.resets:
            raise ConnectionResetError
        if self.runs_statement:
            await self.database.execute()

    async def close(self) -> None:
        """Close the session."""
        self.terminate()

    def terminate(self) -> None:
        """Close the session at once."""
        self.database.open -= 1
