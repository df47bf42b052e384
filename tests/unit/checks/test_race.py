"""Attempts on a simulated event loop, where waiting takes no time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

from app.checks.race import START_DELAY, race
from tests.support.fakes import hangs, simulate, undisturbed


class Attempts:
    """Attempts that record when they start, and whether they were cancelled."""

    def __init__(self) -> None:
        self.started: list[float] = []
        self.cancelled: list[int] = []
        self.discarded: list[int] = []

    async def __call__(self, number: int, act: Callable[[], Coroutine[None, None, None]]) -> int:
        """Run an attempt, and return its number."""
        self.started.append(asyncio.get_running_loop().time())
        try:
            await act()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return number

    async def race(self, *acts: Callable[[], Coroutine[None, None, None]]) -> int:
        """Race attempts, and give abandoned ones a moment to end."""
        attempts = [partial(self, number, act) for number, act in enumerate(acts)]
        try:
            return await race(attempts, self.discarded.append)
        finally:
            await asyncio.sleep(10)


async def passes() -> None:
    """Succeed at once."""


async def fails(text: str) -> None:
    """Fail at once."""
    raise OSError(text)


async def passes_later() -> None:
    """Succeed after the start of the next attempt."""
    await asyncio.sleep(START_DELAY + 0.1)


def test_an_attempt_that_hangs_does_not_hide_the_next() -> None:
    attempts = Attempts()
    assert simulate(attempts.race(hangs, hangs, passes, passes)) == 2
    assert attempts.started == [0, START_DELAY, 2 * START_DELAY]
    assert attempts.cancelled == [0, 1]


def test_an_attempt_that_fails_starts_the_next_at_once() -> None:
    attempts = Attempts()
    assert simulate(attempts.race(partial(fails, "first"), passes)) == 1
    assert attempts.started == [0, 0]


def test_an_earlier_attempt_may_still_succeed() -> None:
    attempts = Attempts()
    assert simulate(attempts.race(passes_later, hangs)) == 0
    assert attempts.cancelled == [1]


def test_the_error_of_the_first_attempt_is_raised() -> None:
    attempts = Attempts()

    async def fails_later() -> None:
        await passes_later()
        await fails("first")

    with pytest.raises(OSError, match="first"):
        simulate(attempts.race(fails_later, partial(fails, "second")))


def test_a_result_that_comes_too_late_is_discarded() -> None:
    attempts = Attempts()
    ignores_cancellation = partial(undisturbed, 1)
    assert simulate(attempts.race(ignores_cancellation, passes)) == 1
    assert attempts.discarded == [0]


def test_two_results_at_the_same_time_are_one() -> None:
    attempts = Attempts()

    async def at(seconds: float) -> None:
        await asyncio.sleep(seconds)

    assert simulate(attempts.race(partial(at, 1), partial(at, 1 - START_DELAY))) == 0
    assert attempts.discarded == [1]


def test_a_cancelled_race_cancels_its_attempts() -> None:
    attempts = Attempts()

    async def give_up() -> None:
        racing = asyncio.create_task(attempts.race(hangs, hangs))
        await asyncio.sleep(1)
        racing.cancel()
        await asyncio.wait({racing})

    simulate(give_up())
    assert attempts.cancelled == [0, 1]
