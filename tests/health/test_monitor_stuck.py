import asyncio
import contextlib
import gc

import pytest

from app.health import Check, Clock, Monitor, Probe
from app.health.monitor import CANCEL_GRACE
from tests.fakes import Dependency, SimulatedClock, answers, deaf, fails, hangs, stubborn
from tests.health.helpers import at, check, make_monitor, summary


EVER, TIDY = 1e4, CANCEL_GRACE / 2


@pytest.mark.parametrize(
    "probe",
    [hangs, stubborn(0), stubborn(TIDY), stubborn(TIDY, fails(OSError()))],
    ids=["ends at once", "swallows it and returns", "tidies up", "raises while it does"],
)
async def test_an_attempt_that_ends_when_cancelled_missed_its_deadline(probe: Probe) -> None:
    """Whatever it comes to after the deadline, the answer was not there in time."""
    async with make_monitor(check(Dependency(answers, probe, answers), interval=2)) as monitor:
        await at(2.99)
        assert summary(monitor) == "pass"
        await at(3.06)
        assert summary(monitor) == "fail timeout"
        await at(4.01)
        assert summary(monitor) == "pass"


async def test_an_attempt_that_takes_seconds_to_end_is_stuck_at_its_deadline() -> None:
    """The driver's own clean-up is not waited for, and no threshold holds this up."""
    dependency = Dependency(answers, stubborn(5))
    async with make_monitor(check(dependency, failure_threshold=9)) as monitor:
        await at(1.99)
        assert summary(monitor) == "pass"
        await at(2.11)
        assert summary(monitor) == "fail stuck"


async def test_an_attempt_is_cancelled_once() -> None:
    """A second time would cut short the clean-up that the first one began."""
    dependency = Dependency(stubborn(EVER))
    async with make_monitor(check(dependency)):
        await at(2.9)
        assert dependency.attempt
        assert dependency.attempt.cancelling() == 1


async def test_a_stuck_check_stays_stuck_rather_than_stale() -> None:
    """However long nothing else is heard."""
    async with make_monitor(check(stubborn(EVER))) as monitor:
        await at(3600)
        assert summary(monitor) == "fail stuck"


async def test_a_stuck_attempt_is_abandoned_three_timeouts_after_its_start() -> None:
    """The next one then applies at once, and what the abandoned one comes to does not."""
    dependency = Dependency(stubborn(6, fails(OSError())), answers)
    async with make_monitor(check(dependency, timeout=2, success_threshold=3)) as monitor:
        await at(5.99)
        assert (dependency.asked, summary(monitor)) == ([0], "fail stuck")
        await at(6.01)
        assert (dependency.asked, summary(monitor)) == ([0, 6], "pass")
        await at(8.5)
        assert (dependency.asked, summary(monitor)) == ([0, 6, 7, 8], "pass")


@pytest.mark.parametrize(("interval", "following"), [(1, 2.5), (5, 5), (0.1, 2.5)])
async def test_a_stuck_attempt_that_ends_makes_room_for_the_next(
    interval: float, following: float
) -> None:
    """As soon as it has ended, but not before the interval is over."""
    dependency = Dependency(stubborn(1.5), answers)
    async with make_monitor(check(dependency, interval=interval)) as monitor:
        await at(2.49)
        assert summary(monitor) == "fail stuck"
        await at(5.05)
        assert summary(monitor) == "pass"
    assert dependency.asked[1] == following


async def test_at_most_two_attempts_are_abandoned() -> None:
    """The third stays however long it takes, so that a frozen server is not buried in attempts."""
    dependency = Dependency(stubborn(EVER))
    async with make_monitor(check(dependency)):
        await at(1000)
        assert len(asyncio.all_tasks()) == len(["this", "the watch", *dependency.asked])
    assert dependency.asked == [0, 3, 6]


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_third_attempt_is_replaced_as_soon_as_any_of_the_three_ends(which: int) -> None:
    """With room for one more, a recovered dependency is found out at once."""
    over = asyncio.Event()
    script = [stubborn(EVER), stubborn(EVER), stubborn(EVER), answers]
    script[which] = deaf(over)
    dependency = Dependency(*script)
    async with make_monitor(check(dependency)) as monitor:
        await at(99)
        assert summary(monitor) == "fail stuck"
        over.set()
        await at(99.01)
        assert summary(monitor) == "pass"
    assert dependency.asked[:4] == [0, 3, 6, 99]


async def test_abandoned_attempts_do_not_hinder_the_others() -> None:
    """With two of them left behind, the schedule is what it was."""
    dependency = Dependency(stubborn(EVER), stubborn(EVER), answers)
    async with make_monitor(check(dependency)) as monitor:
        await at(9.5)
        assert summary(monitor) == "pass"
    assert dependency.asked == [0, 3, 6, 7, 8, 9]


async def test_a_result_that_comes_after_stale_was_told_applies_at_once() -> None:
    """Though its deadline lay before: a result counts from when it is known."""
    clock = SimulatedClock(asyncio.get_running_loop())
    dependency = Dependency(answers, stubborn(TIDY))
    async with make_monitor(check(dependency, failure_threshold=3), clock=clock) as monitor:
        await at(2 + TIDY / 2)
        clock.slept += 0.4
        assert summary(monitor) == "fail stale"
        await at(2.09)
        assert summary(monitor) == "fail timeout"


def test_nobody_complains_of_an_attempt_that_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Asyncio would, when the task is no more; that the check was stuck has been told."""

    async def never_ends() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()

    async def story() -> None:
        terms = Check(name="it", probe=never_ends, interval=60, timeout=0.01)
        async with Monitor([terms], clock=Clock()) as monitor:
            while summary(monitor) == "unknown":
                await asyncio.sleep(0.01)

    asyncio.run(story())
    gc.collect()
    assert not caplog.records
