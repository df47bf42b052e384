"""Attempts of which the first success counts, such as one for each address of a name."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar


# Seconds from the start of an attempt to that of the next, unless one fails before.
# https://www.rfc-editor.org/rfc/rfc8305#section-5
START_DELAY = 0.25

T = TypeVar("T")


async def race(
    attempts: Sequence[Callable[[], Coroutine[Any, Any, T]]],
    discard: Callable[[T], object] = lambda _: None,
    delay: float = START_DELAY,
) -> T:
    """Return the result of the attempt that succeeds first, and cancel the others.

    An attempt starts *delay* seconds after the one before it, or as soon as one fails, so that one
    that hangs does not hide the next.

    Args:
        discard: gets a result that comes too late.

    Raises:
        Exception: the error of the first attempt, if all have failed.
    """
    if len(attempts) == 1:
        return await attempts[0]()
    tasks = list[asyncio.Task[T]]()
    try:
        while len(tasks) < len(attempts) or not all(task.done() for task in tasks):
            timeout = None
            if len(tasks) < len(attempts):
                tasks.append(asyncio.create_task(attempts[len(tasks)]()))
                timeout = delay if len(tasks) < len(attempts) else None
            pending = [task for task in tasks if not task.done()]
            await asyncio.wait(pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not task.exception():
                    tasks.remove(task)
                    return task.result()
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
            task.add_done_callback(partial(_drop, discard))


def _drop(discard: Callable[[T], object], task: asyncio.Task[T]) -> None:
    if not task.cancelled() and not task.exception():
        discard(task.result())
