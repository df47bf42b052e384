"""Checks every dependency in the background, so that an answer costs nothing and can't be late."""

import asyncio
import random
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from app.health.check import Check
from app.health.clock import Clock
from app.health.history import History, Transition
from app.health.report import Report, Result
from app.health.watch import Hearer, Listener, Watch


# How many transitions of each check are remembered.
HISTORY_LENGTH = 1000


class Monitor:
    """Watches all checks; entering it starts them, leaving it ends them within a moment.

    Attributes:
        latest: what the last results came to, another object after each; true until it expires.

    Args:
        hearer: told each result, with the name of its check.
        listener: told each transition, with the cause in the words of the error.
        jitter: a random number from 0 to 1.

    Raises:
        ValueError: two checks bear the same name.

    """

    def __init__(
        self,
        checks: Iterable[Check],
        *,
        clock: Clock,
        hearer: Hearer = lambda _name, _result: None,
        listener: Listener = lambda _transition, _cause: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._hearer = hearer
        self._listener = listener
        self._watches = [Watch(check, clock, self._hear, self._tell, jitter) for check in checks]
        self._tasks: list[asyncio.Task[None]] = []
        self._gather()
        names = [watch.check.name for watch in self._watches]
        self.history = {name: History(HISTORY_LENGTH) for name in names}
        if duplicates := {name for name in names if names.count(name) > 1}:
            msg = f"more than one check is named {', '.join(sorted(duplicates))}"
            raise ValueError(msg)

    def report(self) -> Report:
        """Tell what is known now; a result that is too old counts as a failure."""
        return self.latest.at(self._clock.now())

    def _gather(self) -> None:
        self.latest = Report(tuple(watch.known for watch in self._watches))

    def _hear(self, name: str, result: Result) -> None:
        self._gather()
        self.history[name].trend.add(result)
        asyncio.get_running_loop().call_soon(self._hearer, name, result)

    def _tell(self, transition: Transition, cause: str) -> None:
        self.history[transition.name].add(transition)
        # Not called from here: what goes wrong in a listener must not end the watch.
        asyncio.get_running_loop().call_soon(self._listener, transition, cause)

    async def __aenter__(self) -> Self:
        for watch in self._watches:
            task = asyncio.create_task(watch.run(), name=f"watch {watch.check.name}")
            task.add_done_callback(_mourn)
            self._tasks.append(task)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _mourn(task: asyncio.Task[None]) -> None:
    """Have it told at once if a watch ends by itself; its check is stale from then on."""
    if not task.cancelled() and (error := task.exception()):
        message = f"{task.get_name()} has ended"
        task.get_loop().call_exception_handler({"message": message, "exception": error})
