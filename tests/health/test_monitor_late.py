import asyncio
import time
from typing import Any

import pytest

from app.health import Check, Clock, Monitor
from tests.fakes import Dependency, answers, block, hangs, takes
from tests.health.helpers import at, check, make_monitor, summary


async def turns(count: int) -> None:
    """Take so many turns of the event loop, which take no time."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("needed", "answer"), [(5, "pass"), (50, "fail timeout")])
async def test_what_has_arrived_by_the_deadline_is_heard(needed: int, answer: str) -> None:
    """A driver takes several turns of the loop to read its answer, and not any number."""

    async def arrives_at_the_deadline() -> None:
        await asyncio.sleep(1)
        await turns(needed)

    async with make_monitor(check(arrives_at_the_deadline, interval=5)) as monitor:
        await at(1.5)
        assert summary(monitor) == answer


async def test_an_answer_that_is_read_late_is_no_younger_than_its_deadline() -> None:
    """A blocked loop reads it when it turns again: what has become of the dependency is unknown."""
    dependency = Dependency(takes(0.5), hangs)
    async with make_monitor(check(dependency)) as monitor:
        await at(0.2)
        block(5)
        await asyncio.sleep(0.5)
        assert summary(monitor) == "fail stale"
        await at(6.5)
        assert summary(monitor) == "fail timeout"


def test_a_busy_loop_makes_no_obedient_attempt_stuck() -> None:
    """One that needs a few turns to end has them, however long each one takes."""

    async def ends_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await turns(3)

    async def hog() -> None:
        while True:
            time.sleep(0.03)  # noqa: ASYNC251 - blocking the loop is the point
            await asyncio.sleep(0)

    async def story() -> str:
        terms = Check(name="it", probe=ends_when_cancelled, interval=60, timeout=0.05)
        async with Monitor([terms], clock=Clock()) as monitor:
            busy = asyncio.create_task(hog())
            while summary(monitor) == "unknown":
                await asyncio.sleep(0.01)
            busy.cancel()
            return summary(monitor)

    assert asyncio.run(story()) == "fail timeout"


async def test_a_watch_that_ends_by_itself_is_told_at_once() -> None:
    """Nothing in it should; if it does the check is stale, and the reason is in the log."""
    told_by_loop: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told_by_loop.append(context))

    def broken() -> float:
        raise ZeroDivisionError

    terms = check(answers)
    async with Monitor([terms], clock=Clock(loop.time, loop.time), jitter=broken) as monitor:
        await at(1)
        assert [context["message"] for context in told_by_loop] == ["check runner it has ended"]
        assert isinstance(told_by_loop[0]["exception"], ZeroDivisionError)
        await at(3)
        assert summary(monitor) == "fail stale"
