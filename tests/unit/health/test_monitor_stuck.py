import asyncio
import contextlib
import gc

import pytest

from app.health import Check, Clock, Monitor, Probe
from app.health.monitor import CANCEL_GRACE
from tests.support.fakes import Dependency, SimulatedClock, answers, deaf, fails, hangs, stubborn
from tests.unit.health.helpers import at, check, make_monitor, summary


FOREVER, CLEANUP = 1e4, CANCEL_GRACE / 2


@pytest.mark.parametrize(
    "probe",
    [hangs, stubborn(0), stubborn(CLEANUP), stubborn(CLEANUP, fails(OSError()))],
    ids=["ends at once", "swallows it and returns", "tidies up", "raises while it does"],
)
async def test_an_attempt_that_ends_when_cancelled_is_a_timeout(probe: Probe) -> None:
    """Whatever it returns or raises after its deadline."""
    async with make_monitor(check(Dependency(answers, probe, answers), interval=2)) as monitor:
        await at(2.99)
        assert summary(monitor) == "pass"
        await at(3.06)
        assert summary(monitor) == "fail timeout"
        await at(4.01)
        assert summary(monitor) == "pass"


async def test_an_attempt_that_takes_seconds_to_end_is_stuck_at_its_deadline() -> None:
    """The monitor does not wait for the driver's cleanup, and thresholds do not apply."""
    dependency = Dependency(answers, stubborn(5))
    async with make_monitor(check(dependency, failure_threshold=9)) as monitor:
        await at(1.99)
        assert summary(monitor) == "pass"
        await at(2.11)
        assert summary(monitor) == "fail stuck"


async def test_an_attempt_is_cancelled_once() -> None:
    """A second cancellation would interrupt the driver's cleanup."""
    dependency = Dependency(stubborn(FOREVER))
    async with make_monitor(check(dependency)):
        await at(2.9)
        assert dependency.attempt
        assert dependency.attempt.cancelling() == 1


async def test_a_stuck_check_stays_stuck_rather_than_stale() -> None:
    """However long there is no other result."""
    async with make_monitor(check(stubborn(FOREVER))) as monitor:
        await at(3600)
        assert summary(monitor) == "fail stuck"


async def test_a_stuck_attempt_is_abandoned_three_timeouts_after_its_start() -> None:
    """The next result applies at once. The outcome of the abandoned attempt is ignored."""
    dependency = Dependency(stubborn(6, fails(OSError())), answers)
    async with make_monitor(check(dependency, timeout=2, success_threshold=3)) as monitor:
        await at(5.99)
        assert (dependency.asked, summary(monitor)) == ([0], "fail stuck")
        await at(6.01)
        assert (dependency.asked, summary(monitor)) == ([0, 6], "pass")
        await at(8.5)
        assert (dependency.asked, summary(monitor)) == ([0, 6, 7, 8], "pass")


@pytest.mark.parametrize(("interval", "following"), [(1, 2.5), (5, 5), (0.1, 2.5)])
async def test_after_a_stuck_attempt_has_ended_the_next_one_starts(
    interval: float, following: float
) -> None:
    """At once, but not before the interval is over."""
    dependency = Dependency(stubborn(1.5), answers)
    async with make_monitor(check(dependency, interval=interval)) as monitor:
        await at(2.49)
        assert summary(monitor) == "fail stuck"
        await at(5.05)
        assert summary(monitor) == "pass"
    assert dependency.asked[1] == following


async def test_at_most_two_attempts_are_abandoned() -> None:
    """The third one stays, so that attempts do not pile up at a frozen server."""
    dependency = Dependency(stubborn(FOREVER))
    async with make_monitor(check(dependency)):
        await at(1000)
        assert len(asyncio.all_tasks()) == len(["this", "the runner", *dependency.asked])
    assert dependency.asked == [0, 3, 6]


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_third_attempt_is_replaced_as_soon_as_any_of_the_three_ends(which: int) -> None:
    """So a recovered dependency is noticed at once."""
    over = asyncio.Event()
    script = [stubborn(FOREVER), stubborn(FOREVER), stubborn(FOREVER), answers]
    script[which] = deaf(over)
    dependency = Dependency(*script)
    async with make_monitor(check(dependency)) as monitor:
        await at(99)
        assert summary(monitor) == "fail stuck"
        over.set()
        await at(99.01)
        assert summary(monitor) == "pass"
    assert dependency.asked[:4] == [0, 3, 6, 99]


async def test_abandoned_attempts_do_not_delay_the_others() -> None:
    """With two of them, the schedule stays the same."""
    dependency = Dependency(stubborn(FOREVER), stubborn(FOREVER), answers)
    async with make_monitor(check(dependency)) as monitor:
        await at(9.5)
        assert summary(monitor) == "pass"
    assert dependency.asked == [0, 3, 6, 7, 8, 9]


async def test_a_result_after_stale_applies_at_once_although_its_deadline_was_before() -> None:
    """A result counts from the moment when it is known."""
    clock = SimulatedClock(asyncio.get_running_loop())
    dependency = Dependency(answers, stubborn(CLEANUP))
    async with make_monitor(check(dependency, failure_threshold=3), clock=clock) as monitor:
        await at(2 + CLEANUP / 2)
        clock.slept += 0.4
        assert summary(monitor) == "fail stale"
        await at(2.09)
        assert summary(monitor) == "fail timeout"


def test_asyncio_logs_nothing_about_an_abandoned_attempt(caplog: pytest.LogCaptureFixture) -> None:
    """It would log that a pending task was destroyed."""

    async def never_ends() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()

    async def main() -> None:
        subject = Check(name="it", probe=never_ends, interval=60, timeout=0.01)
        async with Monitor([subject], clock=Clock()) as monitor:
            while summary(monitor) == "unknown":
                await asyncio.sleep(0.01)

    asyncio.run(main())
    gc.collect()
    assert not caplog.records
