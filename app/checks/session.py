"""Sessions whose start a server does not answer, of which there may be few."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, Protocol, TypeVar

from app.health import Reason


# The attribute of an error that keeps its reason.
EXPLAINED = "vitals_reason"


class Session(Protocol):
    """One authenticated connection to a dependency."""

    async def ask(self) -> None:
        """Put the question; whatever is raised ends the session."""

    async def close(self) -> None:
        """Take leave, as the server's log would have it, within a moment."""

    def terminate(self) -> None:
        """Cut the connection without waiting for anything."""


class SessionProbe:
    """Asks over a session that is opened anew after a failure, and when it has grown old.

    Renewal keeps the way through name resolution, TLS and authentication under watch; a session
    that lasts keeps the watch cheap. An attempt owns the session that it uses, so that one which
    outlives its deadline can't disturb the next.

    Attributes:
        unasked: whether the server opened the last session without asking for the password that
            it would have got. *open_session* sets it.

    Args:
        open_session: connects and authenticates.
        explain: tells the reason of what a session raises.
        renew_after: seconds after which a session is opened anew, at the latest; 0 renews it each
            time.
        clock: a steady time in seconds.
        phase: a random number from 0 to 1.

    """

    def __init__(
        self,
        open_session: Callable[[], Awaitable[Session]],
        explain: Callable[[BaseException], Reason],
        renew_after: float,
        clock: Callable[[], float],
        phase: Callable[[], float] = random.random,
    ) -> None:
        self._explain = explain
        self.password_not_requested = False
        self._open = open_session
        self._renew_after = renew_after
        self._clock = clock
        self._offset = renew_after * phase()
        self._kept: tuple[Session, float] | None = None

    async def __call__(self) -> None:
        """Ask, on a new session if the kept one fails or the new one is cut.

        The verdict is on the dependency, and not on a connection that somebody has ended.
        """
        kept, self._kept = self._kept, None
        if kept and await self._answers(*kept):
            return
        if not await self._survives():
            await self._ask_anew()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed.

        The reason is kept in the error: this probe, the monitor and the advice all ask for it, and
        a deadline must be explained while the attempt is still under way.
        """
        known = vars(error)
        if EXPLAINED not in known:
            known[EXPLAINED] = self._explain(error)
        reason: Reason = known[EXPLAINED]
        return reason

    async def _survives(self) -> bool:
        """Ask on a new session; tell whether it lasted until the answer."""
        try:
            await self._ask_anew()
        except Exception as error:
            if self.explain(error) is not Reason.DISCONNECTED:
                raise
            return False
        return True

    async def _ask_anew(self) -> None:
        opened = self._clock()
        await self._ask(await self._open(), opened)

    async def _answers(self, session: Session, opened: float) -> bool:
        if self._is_old(opened):
            await session.close()
            return False
        try:
            await self._ask(session, opened)
        except Exception:  # noqa: BLE001 - whatever it is, the new session will tell better
            return False
        return True

    def _is_old(self, opened: float) -> bool:
        """Whether the time for renewal has come since *opened*; each instance has its own times.

        They do not depend on when a session was opened: a fleet that has lost all sessions at once
        would otherwise renew all of them at once ever after.
        """
        if not self._renew_after:
            return True
        turns = {(at + self._offset) // self._renew_after for at in (opened, self._clock())}
        return len(turns) > 1

    async def _ask(self, session: Session, opened: float) -> None:
        try:
            await session.ask()
        except BaseException:
            session.terminate()
            raise
        if self._kept is None:
            self._kept = session, opened
        else:
            session.terminate()

    async def aclose(self) -> None:
        """Close the kept session."""
        kept, self._kept = self._kept, None
        if kept:
            await kept[0].close()


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


class SessionOpener(Generic[T]):
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
