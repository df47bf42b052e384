"""Doubles of time and of dependencies, shared by the tests."""

import asyncio
import contextlib
import selectors
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.health import Clock, Probe


T = TypeVar("T")

HORIZON = 1e6  # longer than any story: what still runs then waits for what never comes
EPOCH = 1.8e9  # where the wall clock starts: far from the steady one, so that a mix-up shows


class _Leap(selectors.DefaultSelector):
    """A selector that moves a clock on where another would sleep."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or self.now > HORIZON):
            msg = "nothing is left to happen: this would wait for ever"
            raise RuntimeError(msg)
        if not ready and timeout:
            # One moment is one number, however its seconds were added up.
            self.now = round(self.now + timeout, 10)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop on which waiting takes no time: its clock leaps to the next timer.

    Raises:
        RuntimeError: nothing is scheduled any more, so that waiting would never end.

    """

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        """The simulated time, in seconds since the loop was made."""
        return self._leap.now


def block(seconds: float) -> None:
    """Let time pass in which the running simulated loop does nothing."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    loop._leap.now += seconds  # noqa: SLF001 - its one hand


def simulate(story: Coroutine[Any, Any, T]) -> T:
    """Run *story* on a simulated loop of its own, and end whatever it leaves behind."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(story)


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
    """A probe that acts out *script*, one probe an attempt, and then keeps to the last.

    Attributes:
        asked: when each attempt began.
        attempt: the task of the latest one.

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
    """A probe whose dependency answers at once."""


async def hangs() -> None:
    """A probe that waits for ever, and ends at once when cancelled."""
    await asyncio.get_running_loop().create_future()


def takes(seconds: float) -> Probe:
    """A probe whose dependency takes so long to answer."""

    async def probe() -> None:
        await asyncio.sleep(seconds)

    return probe


def fails(error: BaseException) -> Probe:
    """A probe that raises *error*."""

    async def probe() -> None:
        raise error

    return probe


def stubborn(seconds: float, then: Probe = answers) -> Probe:
    """A probe that waits for ever and, once cancelled, goes on for so long before *then*."""

    async def probe() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await hangs()
        await undisturbed(seconds)
        await then()

    return probe


def deaf(until: asyncio.Event) -> Probe:
    """A probe that waits for *until*, however often it is cancelled."""

    async def probe() -> None:
        while not until.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await until.wait()

    return probe


async def undisturbed(seconds: float) -> None:
    """Sleep through every cancellation."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await deaf(over)()
