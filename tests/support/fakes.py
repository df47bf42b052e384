"""Simulated time and simulated dependencies."""

import asyncio
import contextlib
import selectors
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.health import Clock, Probe


T = TypeVar("T")

HORIZON = 1e6  # seconds; a test that reaches it waits for something that never happens
EPOCH = 1.8e9  # the wall clock starts far from the steady one, so that a mix-up shows


class _SimulatedSelector(selectors.DefaultSelector):
    """A selector that advances a clock instead of sleeping."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or self.now > HORIZON):
            raise RuntimeError("nothing is scheduled: this would wait forever")
        if not ready and timeout:
            # Rounded, so that the same moment is the same float.
            self.now = round(self.now + timeout, 10)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop on which waiting takes no time: its clock jumps to the next timer.

    Raises:
        RuntimeError: nothing is scheduled, so waiting would never end.
    """

    def __init__(self) -> None:
        self._simulated_selector = _SimulatedSelector()
        super().__init__(self._simulated_selector)

    def time(self) -> float:
        """Return the simulated time, in seconds since the loop was created."""
        return self._simulated_selector.now


def block(seconds: float) -> None:
    """Block the running simulated loop for some simulated seconds."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    loop._simulated_selector.now += seconds  # noqa: SLF001 - the only other way to change its time


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a simulated loop of its own, and cancel the tasks that it leaves."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


class SimulatedClock(Clock):
    """The clock of a simulated event loop, which a test can change.

    Attributes:
        slept: seconds that the machine, and so the loop, was suspended; both clocks went on.
        stepped: seconds by which the wall clock was set forward.
    """

    __setattr__ = object.__setattr__  # the base class is frozen

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            steady=lambda: loop.time() + self.slept,
            wall=lambda: EPOCH + loop.time() + self.slept + self.stepped,
        )
        self.slept = self.stepped = 0.0


class Dependency:
    """A probe that runs the probes of *script*, one an attempt, and then repeats the last.

    Attributes:
        asked: start of each attempt, in seconds since the loop was created.
        attempt: the task of the last attempt.
    """

    def __init__(self, *script: Probe) -> None:
        self.asked: list[float] = []
        self.attempt: asyncio.Task[Any] | None = None
        self._script = deque(script)

    async def __call__(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        self.attempt = asyncio.current_task()
        act = self._script.popleft() if len(self._script) > 1 else self._script[0]
        await act()


async def answers() -> None:
    """Succeed at once."""


async def hangs() -> None:
    """Wait forever; end at once when cancelled."""
    await asyncio.get_running_loop().create_future()


def takes(seconds: float) -> Probe:
    """Return a probe that succeeds after some seconds."""

    async def probe() -> None:
        await asyncio.sleep(seconds)

    return probe


def fails(error: BaseException) -> Probe:
    """Return a probe that raises *error*."""

    async def probe() -> None:
        raise error

    return probe


def stubborn(seconds: float, then: Probe = answers) -> Probe:
    """Return a probe that waits forever. Cancelled, it runs *then* after some more seconds."""

    async def probe() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await hangs()
        await undisturbed(seconds)
        await then()

    return probe


def deaf(until: asyncio.Event) -> Probe:
    """Return a probe that waits for *until* and ignores cancellation."""

    async def probe() -> None:
        while not until.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await until.wait()

    return probe


async def undisturbed(seconds: float) -> None:
    """Sleep, and ignore cancellation."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await deaf(done)()
