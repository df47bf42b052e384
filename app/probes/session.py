"""A probe that keeps one connection of its own."""

import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from app.health import Reason


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
        self.explain = explain
        self.unasked = False
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
