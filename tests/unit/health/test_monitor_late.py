import asyncio
import time
from typing import Any

import pytest

from app.health import Check, Clock, Monitor
from tests.support.fakes import Dependency, answers, block, hangs, takes
from tests.unit.health.helpers import at, check, make_monitor, summary


async def iterate(count: int) -> None:
    """Let the event loop run *count* iterations, which take no time."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("needed", "answer"), [(5, "pass"), (50, "fail timeout")])
async def test_an_answer_that_arrived_before_the_deadline_counts(needed: int, answer: str) -> None:
    """A driver needs several iterations of the event loop to read it; there is a limit."""

    async def arrives_at_the_deadline() -> None:
        await asyncio.sleep(1)
        await iterate(needed)

    async with make_monitor(check(arrives_at_the_deadline, interval=5)) as monitor:
        await at(1.5)
        assert summary(monitor) == answer


async def test_an_answer_that_is_read_late_counts_from_its_deadline() -> None:
    """A blocked event loop reads it late, and the dependency may have failed meanwhile."""
    dependency = Dependency(takes(0.5), hangs)
    async with make_monitor(check(dependency)) as monitor:
        await at(0.2)
        block(5)
        await asyncio.sleep(0.5)
        assert summary(monitor) == "fail stale"
        await at(6.5)
        assert summary(monitor) == "fail timeout"


def test_a_busy_loop_does_not_make_a_cancelled_attempt_stuck() -> None:
    """An attempt that needs a few iterations to end gets them, however long they take."""

    async def ends_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await iterate(3)

    async def hog() -> None:
        while True:
            time.sleep(0.03)  # noqa: ASYNC251 - blocking the loop is the point
            await asyncio.sleep(0)

    async def main() -> str:
        subject = Check(name="it", probe=ends_when_cancelled, interval=60, timeout=0.05)
        async with Monitor([subject], clock=Clock()) as monitor:
            busy = asyncio.create_task(hog())
            while summary(monitor) == "unknown":
                await asyncio.sleep(0.01)
            busy.cancel()
            return summary(monitor)

    assert asyncio.run(main()) == "fail timeout"


async def test_a_runner_that_crashes_is_reported_at_once() -> None:
    """Its check becomes stale, and the event loop's exception handler gets the error."""
    errors: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))

    def broken() -> float:
        raise ZeroDivisionError

    subject = check(answers)
    async with Monitor([subject], clock=Clock(loop.time, loop.time), jitter=broken) as monitor:
        await at(1)
        assert [context["message"] for context in errors] == ["check runner it has ended"]
        assert isinstance(errors[0]["exception"], ZeroDivisionError)
        await at(3)
        assert summary(monitor) == "fail stale"
