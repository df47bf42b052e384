"""What may block for ever, kept from holding up anything else."""

import asyncio
import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar


# Calls that may hang at once, of one kind: the C library's resolver gives up after ten seconds
# with one server, more with several or with search domains; a file on a share may never do.
MAX_CALLS = 40

# So many of them begin as often as there are attempts. The others begin no sooner than so many
# seconds after the one before: so that a check with a short interval has some left when the
# resolver works again. It is within the half second that an answer may be late.
UNPACED = 8
PACE = 0.4

# Beyond so many threads of the process, each kind of call has no more than a few: all names of
# many checks may hang, and a container has a limit.
MAX_THREADS = 200
FEW = 2

T = TypeVar("T")


class Blocking(Generic[T]):
    """A call that may block: a look-up of a name, the reading of a file.

    It can't be cancelled and the event loop's pool of threads is small and shared, so each runs on
    a thread of its own. One whose attempt has ended goes on in the background: it holds up neither
    the next attempt, nor another check, nor the end of the process.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._name = name
        self._calls = set[asyncio.Future[T | Exception]]()
        self._begun = -math.inf

    async def __call__(self) -> T:
        """Call, and tell what that returns or raises."""
        own = self._begin() if self._may_begin() else None
        pending = set(self._calls)
        while True:
            # What an earlier call comes to late is as true as what this one does.
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                outcome = call.result()
                if not isinstance(outcome, Exception):
                    return outcome
                if call is own or not pending:
                    raise outcome

    def _may_begin(self) -> bool:
        hanging = len(self._calls)
        if hanging < FEW:
            return True
        paced = hanging < UNPACED or time.monotonic() - self._begun >= PACE
        return paced and hanging < MAX_CALLS and threading.active_count() < MAX_THREADS

    def _begin(self) -> asyncio.Future[T | Exception]:
        call = on_thread(self._call, self._name)
        self._begun = time.monotonic()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call


def on_thread(call: Callable[[], T], name: str) -> asyncio.Future[T | Exception]:
    """Run a call on a thread of its own; return the future of what it returns or raises.

    Raises:
        RuntimeError: no thread could be started.

    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T | Exception] = loop.create_future()

    def settle(outcome: T | Exception) -> None:
        if not future.done():
            future.set_result(outcome)

    def run() -> None:
        # On a processor that both want, this thread gets a quarter and the event loop goes first.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        outcome: T | Exception
        try:
            outcome = call()
        except Exception as error:  # noqa: BLE001 - the future's reader decides what it means
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits for it
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
