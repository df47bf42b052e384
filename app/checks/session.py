"""Probes that keep a session, and the limit on sessions that a server does not finish opening."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, Protocol, TypeVar

from app.health import Facts, Reason
from app.health.reasons import Advice


# The attribute of an error that keeps its reason, and the probe that explained it.
EXPLAINED = "vitals_reason"


class Session(Protocol):
    """One authenticated connection to a dependency."""

    async def query(self) -> None:
        """Query the dependency. Any error ends the session."""

    async def close(self) -> None:
        """Close the session as the protocol asks, and wait a moment at most for the server."""

    def terminate(self) -> None:
        """Close the connection at once."""


def explain_once(
    probe: object, error: BaseException, explain: Callable[[BaseException], Reason]
) -> Reason:
    """Return why an attempt of *probe* failed.

    The reason is kept in the error, because the probe, the monitor and the advice need it, and
    only the first can explain a deadline: later the attempt no longer waits for anything.
    """
    explained = vars(error).get(EXPLAINED)
    if not explained or explained[0] is not probe:
        vars(error)[EXPLAINED] = explained = probe, explain(error)
    reason: Reason = explained[1]
    return reason


class SessionProbe:
    """Queries over a session, which is replaced after a failure and at regular times.

    Renewal keeps testing name resolution, TLS and authentication, while a kept session makes most
    attempts cheap. An attempt owns the session that it uses, so that one which outlives its
    deadline can't disturb the next.

    Attributes:
        password_not_requested: whether the server opened the last session without asking for the
            configured password. *open_session* sets it.
        facts: returns what the sessions have learned.
        remark: what to know about a server that passes. *open_session* sets it.

    Args:
        open_session: connects and authenticates.
        explain: returns the reason for an error of a session.
        renew_after: seconds after which a session is replaced, at the latest; 0 replaces it at
            each attempt.
        clock: a steady time in seconds.
        phase: a random number from 0 to 1.
    """

    def __init__(
        self,
        open_session: Callable[[], Awaitable[Session]],
        explain: Callable[[BaseException], Reason],
        renew_after: float,
        clock: Callable[[], float] = time.monotonic,
        phase: Callable[[], float] = random.random,
    ) -> None:
        self.facts: Callable[[], Facts] = Facts
        self.password_not_requested = False
        self.remark: Advice | None = None
        self._explain = explain
        self._open = open_session
        self._renew_after = renew_after
        self._clock = clock
        self._offset = renew_after * phase()
        self._kept: tuple[Session, float] | None = None

    async def __call__(self) -> None:
        """Query over the kept session, or over a new one if that fails.

        A new session that is cut is retried once: someone may have ended the connection, which is
        not a failure of the dependency.
        """
        kept, self._kept = self._kept, None
        if kept and await self._try_kept_session(*kept):
            return
        if not await self._try_new_session():
            await self._query_new_session()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return explain_once(self, error, self._explain)

    async def _try_kept_session(self, session: Session, opened: float) -> bool:
        """Return whether the kept session is young enough and answers."""
        if self._is_renewal_due(opened):
            await session.close()
            return False
        try:
            await self._query(session, opened)
        except Exception:  # noqa: BLE001 - the new session finds the reason
            return False
        return True

    async def _try_new_session(self) -> bool:
        """Query over a new session; return whether the connection lasted until the answer."""
        try:
            await self._query_new_session()
        except Exception as error:
            if self.explain(error) is not Reason.DISCONNECTED:
                raise
            return False
        return True

    async def _query_new_session(self) -> None:
        opened = self._clock()
        await self._query(await self._open(), opened)

    async def _query(self, session: Session, opened: float) -> None:
        try:
            await session.query()
        except BaseException:
            session.terminate()
            raise
        if self._kept is None:
            self._kept = session, opened
        else:
            session.terminate()

    def _is_renewal_due(self, opened: float) -> bool:
        """Return whether a renewal time has passed since *opened*.

        Each instance has its own renewal times, which do not depend on when its session opened.
        Otherwise a fleet that lost all its sessions at once would renew them all at once from then
        on.
        """
        if not self._renew_after:
            return True
        periods = {(at + self._offset) // self._renew_after for at in (opened, self._clock())}
        return len(periods) > 1

    async def aclose(self) -> None:
        """Close the kept session."""
        kept, self._kept = self._kept, None
        if kept:
            await kept[0].close()


# A server that blocks logins (a login trigger behind a lock, a hung LDAP) keeps a process for
# each client that has gone, until it has no free slot. So attempts share the logins that the
# server has begun to answer, and an address gets no more of them than this.
MAX_PENDING = 3

# Seconds after the newest login until there may be another one, which replaces the oldest: a proxy
# may lead to another server by now. The pause grows to a tenth of the time without any answer.
MIN_PAUSE, MAX_PAUSE = 20, 300

# Added as a note to the TimeoutError.
LOGINS_BLOCKED = "the server starts to answer logins but completes none"

T = TypeVar("T")


class Connection(Protocol):
    """The part of a connection that `SessionOpener` uses.

    Attributes:
        address: the address of the server.
        has_answered: whether the server has sent anything.
    """

    address: Hashable
    has_answered: bool


def ignore_outcome(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a task that an attempt has abandoned, or asyncio would log it."""
    if not task.cancelled():
        task.exception()


class SessionOpener(Generic[T]):
    """Opens sessions, each in a task that outlives its attempt, and limits how many are pending.

    Args:
        clock: a steady time in seconds.
        discard: closes a session that is not needed, because another one opened first.
    """

    def __init__(self, clock: Callable[[], float], discard: Callable[[T], None]) -> None:
        self._clock = clock
        self._discard = discard
        self._pending: dict[asyncio.Task[T], Connection] = {}
        self._pending_since = self._newest_started_at = clock()

    def discard_stale(self) -> None:
        """Discard what an earlier attempt left behind, unless the server is working on it.

        A session that opened between two attempts proves nothing about now. A login that the server
        has not begun to answer occupies no process, and the server may be another one by now.
        """
        for task, connection in list(self._pending.items()):
            if task.done() or not connection.has_answered:
                self._cancel(task)

    def may_start(self, connection: Connection) -> bool:
        """Return whether another login may start at the connection's address."""
        others = [one for one in self._pending.values() if one.address == connection.address]
        if len(others) < MAX_PENDING:
            return True
        now = self._clock()
        pause = min(max(MIN_PAUSE, (now - self._pending_since) / 10), MAX_PAUSE)
        return now - self._newest_started_at > pause

    def start(self, connection: Connection, login: Coroutine[Any, Any, T]) -> None:
        """Start a login, and cancel the oldest one if there are too many."""
        self._newest_started_at = self._clock()
        if not self._pending:
            self._pending_since = self._newest_started_at
        elif len(self._pending) >= MAX_PENDING:
            self._cancel(next(iter(self._pending)))
        task = asyncio.create_task(login, name="open a session")
        task.add_done_callback(ignore_outcome)
        self._pending[task] = connection

    async def wait_first(self) -> T:
        """Return the first session that opens, whichever attempt started it.

        Raises:
            Exception: the newest login's error, or the last remaining one's.
        """
        pending = set(self._pending)
        newest = next(reversed(self._pending))
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            # Another attempt may have used or cancelled it meanwhile.
            known = done & self._pending.keys()
            for task in sorted(known, key=lambda one: (one.exception() is not None, one is newest)):
                del self._pending[task]
                if not task.exception():
                    self.close()
                    return task.result()
                if task is newest or not pending:
                    return task.result()
        raise EOFError("another attempt uses the session")

    def close(self) -> None:
        """Cancel every pending login."""
        for task in list(self._pending):
            self._cancel(task)

    def describe(self) -> str:
        """Return a note for the log if logins are blocked; empty while others may start."""
        if len(self._pending) < MAX_PENDING:
            return ""
        return f"{LOGINS_BLOCKED}, for {self._clock() - self._pending_since:.0f} s"

    def _cancel(self, task: asyncio.Task[T]) -> None:
        del self._pending[task]
        if not task.cancel() and not task.cancelled() and not task.exception():
            self._discard(task.result())
