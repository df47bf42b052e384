import asyncio

import pytest

from app.health import Reason, Status
from app.health.monitor import MAX_CAUSE
from tests.fakes import Dependency, SimulatedClock, answers, fails, hangs
from tests.health.helpers import at, check, make_monitor, summary


class Unprintable(Exception):  # noqa: N818 - it is named for what is wrong with it
    def __str__(self) -> str:
        msg = "no words"
        raise ValueError(msg)


async def kill_everything_in_the_background() -> None:
    """Cancel every task but this one, whoever owns it."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "error",
    [
        OSError("refused"),
        SystemExit(1),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopAsyncIteration(),
        asyncio.CancelledError(),
        BaseExceptionGroup("both", [OSError(), SystemExit(1)]),
        Unprintable(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_probe_raises_is_a_failure_and_no_more(error: BaseException) -> None:
    """A driver that calls for an exit, or whose error can't be printed, ends no watch."""
    async with make_monitor(check(Dependency(fails(error), answers))) as monitor:
        await at(0.5)
        assert summary(monitor) == "fail error"
        await at(1.5)
        assert summary(monitor) == "pass"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("refused"), "OSError: refused"),
        (OSError("n" * 10**6), "OSError: " + "n" * MAX_CAUSE),
        (Unprintable(), "Unprintable"),
        (asyncio.CancelledError(), "CancelledError: cancelled by the driver"),
    ],
)
async def test_a_failure_has_a_cause_in_words(error: BaseException, words: str) -> None:
    """Also where the error has none, or nothing to say."""
    causes: list[str] = []
    async with make_monitor(
        check(fails(error)), on_transition=lambda _, cause: causes.append(cause)
    ):
        await at(0.5)
    assert causes == [words]


async def test_the_error_itself_is_explained() -> None:
    """Whatever was raised is what the check looks up."""
    refusal, heard = OSError("refused"), list[BaseException]()

    def explain(error: BaseException) -> Reason:
        heard.append(error)
        return Reason.REFUSED

    async with make_monitor(check(fails(refusal), explain=explain)) as monitor:
        await at(0.5)
        assert summary(monitor) == "fail refused"
    assert heard == [refusal]


async def test_an_attempt_that_somebody_else_cancels_is_a_failure() -> None:
    """Some drivers cancel the task that calls them."""
    dependency = Dependency(hangs, answers)
    async with make_monitor(check(dependency)) as monitor:
        await at(0.5)
        assert dependency.attempt
        dependency.attempt.cancel()
        await at(0.6)
        assert summary(monitor) == "fail error"
        await at(1.1)
        assert summary(monitor) == "pass"


async def test_a_missed_deadline_is_explained_while_the_attempt_is_still_under_way() -> None:
    """Only then can a probe tell how far it had come."""
    dependency = Dependency(hangs)
    under_way = []

    def explain(error: BaseException) -> Reason:
        assert dependency.attempt
        under_way.append((type(error), dependency.attempt.cancelling()))
        return Reason.CONNECT_TIMEOUT

    async with make_monitor(check(dependency, explain=explain)) as monitor:
        await at(1.05)
        assert summary(monitor) == "fail connect_timeout"
    assert under_way == [(TimeoutError, 0)]


@pytest.mark.parametrize(("required", "whole"), [(True, Status.FAIL), (False, Status.WARN)])
async def test_a_watch_that_is_killed_leaves_its_check_stale(
    *, required: bool, whole: Status
) -> None:
    """Within the same bound as any fault, though nothing runs any more to say so."""
    monitor = make_monitor(check(answers, required=required))
    async with monitor:
        await at(3.5)
        await kill_everything_in_the_background()
        await at(3 + 2.39)
        assert summary(monitor) == "pass"
        await at(3 + 2.41)
        assert (summary(monitor), monitor.report().status) == ("fail stale", whole)
    await at(1000)
    assert summary(monitor) == "fail stale"


async def test_a_watch_that_is_killed_before_its_first_result_never_completes() -> None:
    """A service whose monitor dies while it starts does not call itself started."""
    async with make_monitor(check(hangs), check(answers, "other")) as monitor:
        await at(0.5)
        await kill_everything_in_the_background()
        await at(1000)
        assert summary(monitor) == "unknown, fail stale"
        assert not monitor.report().complete


async def test_a_machine_that_slept_trusts_nothing_from_before() -> None:
    """Its results are stale when it wakes, until the next ones, which apply at once."""
    clock = SimulatedClock(asyncio.get_running_loop())
    async with make_monitor(check(answers, success_threshold=3), clock=clock) as monitor:
        await at(1.5)
        clock.slept += 60
        assert summary(monitor) == "fail stale"
        await at(2.5)
        assert summary(monitor) == "pass"
    assert [turn.reason for turn in monitor.history["it"].transitions] == [None, Reason.STALE, None]


@pytest.mark.parametrize("step", [3600, -3600])
async def test_a_wall_clock_that_is_set_shows_in_the_dates_alone(step: float) -> None:
    """Neither the schedule nor an age depends on it."""
    clock = SimulatedClock(asyncio.get_running_loop())
    dependency = Dependency(answers)
    async with make_monitor(check(dependency), clock=clock) as monitor:
        await at(0.5)
        (before,) = monitor.report().checks
        clock.stepped += step
        await at(3.5)
        (after,) = monitor.report().checks
    assert dependency.asked == [0, 1, 2, 3]
    assert (after.status, after.since) == (before.status, before.since)
    assert before.observed
    assert after.observed
    assert after.observed.wall - before.observed.wall == 3 + step
