"""Sessions whose start a server does not answer, of which there may be few."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, Protocol, TypeVar


# A server that holds up logins (a login trigger behind a lock, a hung LDAP) keeps a process for
# each client that has gone, until it has no free slot. So the next attempts wait as well for a
# start that the server has begun to answer, and an address has no more of them than this.
MAX_UNANSWERED = 3

# Seconds after the newest start in which there may be another one all the same, in place of the
# oldest: a proxy may lead elsewhere by now. They grow to a tenth of the time for which nothing has
# been answered.
SHORTEST_PAUSE, LONGEST_PAUSE = 20, 300

# Noted in the error of a deadline that passes meanwhile.
HELD_UP = "the server begins to answer logins and finishes none"

T = TypeVar("T")


class Peer(Protocol):
    """The other side of a connection.

    Attributes:
        address: where it is.
        has_answered: whether it has sent anything.

    """

    address: Hashable
    has_answered: bool


def ignore_outcome(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from logging the failure of a task that an attempt has left behind."""
    if not task.cancelled():
        task.exception()


class SessionStarts(Generic[T]):
    """Starts sessions, each on a task that outlives the attempt which has begun it.

    Args:
        clock: a steady time in seconds.
        discard: ends a session that is not needed, as another one has started before.

    """

    def __init__(self, clock: Callable[[], float], discard: Callable[[T], None]) -> None:
        self._clock = clock
        self._discard = discard
        self._unanswered: dict[asyncio.Task[T], Peer] = {}
        self._since = self._newest = clock()

    def prepare(self) -> None:
        """Begin an attempt, which may not pass on what the server did before it.

        A start that the server has not begun to answer is given up: no process is known to wait,
        and the server may be another one by now.
        """
        for task, peer in list(self._unanswered.items()):
            if task.done() or not peer.has_answered:
                self._give_up(task)

    def has_room(self, peer: Peer) -> bool:
        """Return whether another start may begin at this address; if not, wait for the others."""
        others = [one for one in self._unanswered.values() if one.address == peer.address]
        if len(others) < MAX_UNANSWERED:
            return True
        now = self._clock()
        pause = min(max(SHORTEST_PAUSE, (now - self._since) / 10), LONGEST_PAUSE)
        return now - self._newest > pause

    def begin(self, peer: Peer, start: Coroutine[Any, Any, T]) -> None:
        """Begin a start, and give up the oldest if there are too many."""
        self._newest = self._clock()
        if not self._unanswered:
            self._since = self._newest
        elif len(self._unanswered) >= MAX_UNANSWERED:
            self._give_up(next(iter(self._unanswered)))
        task = asyncio.create_task(start, name="start a session")
        task.add_done_callback(ignore_outcome)
        self._unanswered[task] = peer

    async def first(self) -> T:
        """Return the first session that has started; earlier ones are as good as the newest.

        Raises:
            Exception: what the newest start has raised, or the last one that was left.

        """
        pending = set(self._unanswered)
        newest = next(reversed(self._unanswered))
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            # Another attempt may have taken it meanwhile, or given it up.
            known = done & self._unanswered.keys()
            for task in sorted(known, key=lambda one: (one.exception() is not None, one is newest)):
                del self._unanswered[task]
                if not task.exception():
                    self.close()
                    return task.result()
                if task is newest or not pending:
                    return task.result()
        msg = "another attempt has taken the session"
        raise EOFError(msg)

    def close(self) -> None:
        """Give up every start."""
        for task in list(self._unanswered):
            self._give_up(task)

    def describe(self) -> str:
        """Return what is waited for, for the log; nothing as long as other starts may begin."""
        if len(self._unanswered) < MAX_UNANSWERED:
            return ""
        return f"{HELD_UP}, for {self._clock() - self._since:.0f} s"

    def _give_up(self, task: asyncio.Task[T]) -> None:
        del self._unanswered[task]
        if not task.cancel() and not task.cancelled() and not task.exception():
            self._discard(task.result())
