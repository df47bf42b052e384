"""Sessions whose start a server does not answer, of which there may be few."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar


# A server that holds up logins (a login trigger behind a lock, a hung LDAP) keeps a process for
# each client that has gone, until it has no free slot. So an unanswered start is waited for by the
# next attempts as well, and there are no more of them than this.
MAX_UNANSWERED = 3

# The oldest is given up for a new one after so many seconds, and after half of the time for which
# nothing has been answered: a proxy may have lost it, and after a day there are a dozen.
GIVE_UP_AFTER = 60

T = TypeVar("T")


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
        self._unanswered: dict[asyncio.Task[T], float] = {}
        self._since = clock()

    @property
    def may_begin(self) -> bool:
        """Return whether another start may begin; if not, wait for the others."""
        if len(self._unanswered) < MAX_UNANSWERED:
            return True
        now = self._clock()
        oldest = min(self._unanswered.values())
        return now - oldest > max(GIVE_UP_AFTER, (now - self._since) / 2)

    def discard_answered(self) -> None:
        """Give up the starts that were answered between two attempts.

        An attempt may not pass on what the server did before it.
        """
        for task in [task for task in self._unanswered if task.done()]:
            self._give_up(task)

    def begin(self, start: Coroutine[Any, Any, T]) -> None:
        """Begin a start, and give up the oldest if there are too many."""
        if not self._unanswered:
            self._since = self._clock()
        elif len(self._unanswered) >= MAX_UNANSWERED:
            self._give_up(next(iter(self._unanswered)))
        task = asyncio.create_task(start, name="start a session")
        task.add_done_callback(ignore_outcome)
        self._unanswered[task] = self._clock()

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
            for task in done & self._unanswered.keys():
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
        seconds = self._clock() - self._since
        return (
            f"the server has not answered {MAX_UNANSWERED} session starts for {seconds:.0f} s; "
            "look for a lock on pg_authid, a login trigger, or a hung LDAP or PAM"
        )

    def _give_up(self, task: asyncio.Task[T]) -> None:
        del self._unanswered[task]
        if not task.cancel() and not task.cancelled() and not task.exception():
            self._discard(task.result())
