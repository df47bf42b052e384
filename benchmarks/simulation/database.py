"""The database that a fleet shares: it counts what it is asked, and breaks when it is told to."""

import asyncio
import math
from dataclasses import dataclass, field


# Seconds that a statement takes, and a connection where nobody waits for another.
STATEMENT, CONNECTION = 0.001, 0.003


@dataclass
class Database:
    """One server, with a door that lets so many in a second, one after another.

    Whoever has left the queue before its door still takes its turn, as a process is made for it
    before anybody sees that it is gone.

    Attributes:
        accepts: new connections that it makes a second.
        backlog: how many may wait at the door; whoever comes then is not heard at all.
        up: set while it serves.
        silent: whether it hangs, rather than refuses, while it does not serve.
        open: connections now, and `most` ever.
        knocks: when each connection was asked for, `statements` when each statement was.

    """

    accepts: float = math.inf
    backlog: float = math.inf
    silent: bool = False
    up: asyncio.Event = field(default_factory=asyncio.Event)
    open: int = 0
    most: int = 0
    knocks: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)
    cuts: int = 0
    _door: float = 0.0

    def __post_init__(self) -> None:
        self.up.set()

    def fail(self, *, silent: bool = False) -> None:
        """Refuse whoever comes and end every session, or hang and end none."""
        self.silent = silent
        self.cuts += not silent
        self.up.clear()

    def mend(self) -> None:
        """Serve again."""
        self.silent = False
        self.up.set()

    async def connect(self) -> "Session":
        """Let somebody in, when it is their turn."""
        now = asyncio.get_running_loop().time()
        self.knocks.append(now)
        await self._serving()
        waiting = max(0.0, self._door - now)
        if waiting * self.accepts >= self.backlog:
            await asyncio.get_running_loop().create_future()
        self._door = now + waiting + 1 / self.accepts
        await asyncio.sleep(waiting + CONNECTION)
        await self._serving()
        self.open += 1
        self.most = max(self.most, self.open)
        return Session(self, self.cuts)

    async def answer(self) -> None:
        """Answer a statement."""
        self.statements.append(asyncio.get_running_loop().time())
        await self._serving()
        await asyncio.sleep(STATEMENT)

    async def _serving(self) -> None:
        if self.silent:
            await self.up.wait()
        if not self.up.is_set():
            raise ConnectionRefusedError


@dataclass
class Session:
    """A connection to it, as the probe keeps one.

    Attributes:
        cuts: how often the database had ended its sessions when this one began.
        asks: whether a statement is put; connecting was the question where none is.

    """

    database: Database
    cuts: int
    asks: bool = True

    async def ask(self) -> None:
        """Put a statement."""
        if self.cuts != self.database.cuts:
            raise ConnectionResetError
        if self.asks:
            await self.database.answer()

    async def close(self) -> None:
        """Take leave."""
        self.terminate()

    def terminate(self) -> None:
        """End it."""
        self.database.open -= 1
