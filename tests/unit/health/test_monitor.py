import asyncio
from itertools import pairwise
from typing import Any

import pytest

from app.health import (
    Facts,
    Instant,
    Monitor,
    Probe,
    Reason,
    Result,
    Slot,
    Status,
    Transition,
    UnexpectedAnswerError,
)
from app.health.reasons import Advice
from tests.support.fakes import Dependency, SimulatedClock, answers, fails, hangs, stubborn, takes
from tests.unit.health.helpers import at, check, make_monitor, summary


async def test_a_check_is_unknown_before_its_first_result() -> None:
    """Until every check has one, the report is incomplete, and it fails with a required check."""
    async with make_monitor(check(takes(0.5)), check(answers, "other")) as monitor:
        await at(0.4)
        assert summary(monitor) == "unknown, pass"
        assert (monitor.report().complete, monitor.report().status) == (False, Status.FAIL)
        await at(0.6)
        assert summary(monitor) == "pass, pass"
        assert monitor.report().complete


@pytest.mark.parametrize("probe", [hangs, stubborn(0.01), stubborn(60)])
async def test_every_check_has_a_first_result_within_the_timeout_and_half_a_second(
    probe: Probe,
) -> None:
    """A missed deadline is a result, so the start always ends."""
    async with make_monitor(check(probe, timeout=2)) as monitor:
        await at(1.99)
        assert not monitor.report().complete
        await at(2.5)
        assert monitor.report().complete


async def test_attempts_start_one_interval_apart() -> None:
    """The duration of an attempt does not add to it."""
    dependency = Dependency(takes(0.4))
    async with make_monitor(check(dependency, interval=2)):
        await at(9)
    assert dependency.asked == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("interval", [0.01, 1, 1.7, 30])
async def test_jitter_shortens_the_interval_by_a_tenth_at_most(interval: float) -> None:
    """It never makes the interval longer."""
    dependency = Dependency(answers)
    async with make_monitor(check(dependency, interval=interval), jitter=1):
        await at(20 * interval)
    gaps = [later - earlier for earlier, later in pairwise(dependency.asked)]
    assert len(gaps) > 20
    assert all(0.9 * interval - 1e-9 < gap < interval for gap in gaps)


@pytest.mark.parametrize("begin", [0, 0.7])
@pytest.mark.parametrize(("interval", "late"), [(1, 0.01), (60, 0.04)])
async def test_a_late_attempt_is_followed_by_one_on_a_tick(
    interval: float, late: float, begin: float
) -> None:
    """Otherwise each check would wake the process for itself. A tick is a 32nd of a second."""
    dependency = Dependency(takes(interval + late), answers)
    await at(begin)
    async with make_monitor(check(dependency, interval=interval, timeout=2 * interval)):
        await at(begin + 3.5 * interval)
    starts = [0, interval + late, 2 * interval + late // (1 / 32) / 32]
    assert dependency.asked[:3] == pytest.approx([begin + start for start in starts])


async def test_jitter_is_random_by_default() -> None:
    """Instances that were started together soon check at different times."""
    dependency = Dependency(answers)
    async with Monitor([check(dependency)], clock=SimulatedClock(asyncio.get_running_loop())):
        await at(9)
    gaps = [later - earlier for earlier, later in pairwise(dependency.asked)]
    assert 0.9 <= min(gaps) < max(gaps) <= 1


async def test_an_attempt_may_take_longer_than_the_interval() -> None:
    """The next attempt then starts when it has ended."""
    dependency = Dependency(takes(2.5))
    async with make_monitor(check(dependency, timeout=3)) as monitor:
        await at(9)
        assert summary(monitor) == "pass"
    assert dependency.asked == [0, 2.5, 5, 7.5]


async def test_a_check_that_hangs_does_not_delay_another() -> None:
    """Each check has a task of its own."""
    hanging, stuck, green = Dependency(hangs), Dependency(stubborn(1e4)), Dependency(answers)
    checks = check(hanging, "hangs", timeout=5), check(stuck, "stuck"), check(green, "green")
    async with make_monitor(*checks) as monitor:
        await at(5.5)
        assert summary(monitor) == "fail timeout, fail stuck, pass"
    assert green.asked == [0, 1, 2, 3, 4, 5]


async def test_two_checks_can_not_have_the_same_name() -> None:
    """The error lists each duplicate name once, sorted."""
    checks = [check(answers, name) for name in ("b", "a", "c", "b", "a", "b")]
    with pytest.raises(ValueError, match=r"more than one check is named a, b$"):
        make_monitor(*checks)


async def test_subscribers_get_each_transition_and_its_cause() -> None:
    """The history keeps the transitions. A result that changes no status is no transition."""
    received: list[tuple[Transition, str]] = []
    dependency = Dependency(answers, fails(OSError("gone")), fails(OSError("gone")), answers)
    monitor = make_monitor(check(dependency), on_transition=lambda *change: received.append(change))
    async with monitor:
        await at(4.5)
    changes = [
        (change.before.word, change.after.word, change.lasted, cause) for change, cause in received
    ]
    assert changes == [
        ("unknown", "pass", 0, ""),
        ("pass", "fail", 1, "OSError: gone"),
        ("fail", "pass", 2, ""),
    ]
    assert monitor.history["it"].transitions == [transition for transition, _ in received]
    assert monitor.history["it"].trend.at(Instant(4.5, 0))[-1] == Slot(0, 0.0, failed=True)


async def test_the_text_of_an_unexpected_answer_is_kept() -> None:
    """Until the next result, or until it is stale. That of another error is for the log only."""
    error = UnexpectedAnswerError("got 502, expected 200")
    dependency = Dependency(fails(error), fails(OSError("10.0.0.1")), fails(error), answers)
    monitor, seen = make_monitor(check(dependency)), list[str]()
    async with monitor:
        for second in range(4):
            await at(second + 0.5)
            seen.append(monitor.report().checks[0].mismatch)
            stale = monitor.latest.at(Instant(1000.0, 0))
            assert not stale.checks[0].mismatch
    assert seen == ["got 502, expected 200", "", "got 502, expected 200", ""]


async def test_an_observation_has_the_hint_and_the_facts_of_its_attempt() -> None:
    """A failure and a success may have both."""
    error, facts = OSError("refused"), Facts(replication_lag=3)
    hints = {error: Advice("It is odd.", "Look at it."), None: Advice("It is well.", "Go on.")}
    dependency = Dependency(fails(error), answers)
    subject = check(dependency, advise=hints.get, facts=lambda: facts)
    async with make_monitor(subject) as monitor:
        for second, hint in ((0.5, hints[error]), (1.5, hints[None])):
            await at(second)
            (known,) = monitor.report().checks
            assert (known.hint, known.facts) == (hint, facts)


async def test_a_missing_answer_has_a_cause_too() -> None:
    """There is no error of a driver, so the monitor supplies the text."""
    received: list[tuple[Reason | None, str]] = []
    clock = SimulatedClock(asyncio.get_running_loop())
    subject = check(Dependency(hangs, answers))
    async with make_monitor(
        subject,
        clock=clock,
        on_transition=lambda change, cause: received.append((change.reason, cause)),
    ):
        await at(2.5)
        clock.slept += 60
        await at(3.5)
    assert received == [
        (Reason.TIMEOUT, "TimeoutError: no answer within the deadline"),
        (None, ""),
        (Reason.STALE, "no result in time"),
        (None, ""),
    ]


async def test_tasks_are_named_for_their_checks() -> None:
    """A list of the tasks of a hanging process shows which dependency it waits for."""
    async with make_monitor(check(hangs)):
        await at(0.5)
        names = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
    assert names == {"check runner it", "check it"}


async def test_the_last_thousand_transitions_are_kept() -> None:
    """A check that flaps for days does not fill the memory."""
    flapping = (answers, fails(OSError())) * 505
    async with make_monitor(check(Dependency(*flapping))) as monitor:
        await at(1009.5)
        transitions = monitor.history["it"].transitions
    assert (len(transitions), transitions[-1].at.steady) == (1000, 1009)


async def test_subscribers_get_each_result() -> None:
    """Also those that change no status, with the name of the check."""
    received: list[tuple[str, Reason | None, float]] = []
    gone = fails(OSError("gone"))
    monitor = make_monitor(
        check(Dependency(answers, gone, gone, takes(0.5), hangs)),
        on_result=lambda name, result: received.append((name, result.reason, result.latency)),
    )
    async with monitor:
        await at(5.5)
    assert received == [
        ("it", None, 0),
        ("it", Reason.ERROR, 0),
        ("it", Reason.ERROR, 0),
        ("it", None, 0.5),
        ("it", Reason.TIMEOUT, 1),
    ]


async def test_an_error_in_on_result_does_not_stop_the_check() -> None:
    """The error goes to the exception handler of the event loop."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, details: errors.append(details))

    def on_result(name: str, _result: Result) -> None:
        raise LookupError(name)

    async with make_monitor(check(Dependency(answers)), on_result=on_result) as monitor:
        await at(1.5)
        assert summary(monitor) == "pass"
    assert [type(details["exception"]) for details in errors] == [LookupError, LookupError]


async def test_an_error_in_one_subscriber_does_not_affect_another() -> None:
    """Each gets every result and every transition, in the order of the subscriptions."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    received: list[str] = []

    def on_result(name: str, _result: Result) -> None:
        received.append("first")
        raise LookupError(name)

    monitor = make_monitor(check(answers), on_result=on_result)
    monitor.subscribe(
        on_result=lambda name, _: received.append(name),
        on_transition=lambda change, _: received.append(change.after.word),
    )
    async with monitor:
        await at(1.5)
    assert received == ["pass", "first", "it", "first", "it"]


async def test_an_error_in_on_transition_does_not_stop_the_check() -> None:
    """The error goes to the exception handler of the event loop."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, details: errors.append(details))

    def on_transition(_transition: Transition, cause: str) -> None:
        raise LookupError(cause)

    dependency = Dependency(fails(OSError()), answers)
    async with make_monitor(check(dependency), on_transition=on_transition) as monitor:
        await at(1.5)
        assert summary(monitor) == "pass"
    assert [type(details["exception"]) for details in errors] == [LookupError, LookupError]


async def test_leaving_the_monitor_cancels_every_attempt() -> None:
    """No task of the monitor is left."""
    async with make_monitor(check(hangs, timeout=60), check(takes(30), "other", timeout=60)):
        await at(5)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert asyncio.get_running_loop().time() == 5


async def test_leaving_does_not_wait_for_attempts_that_ignore_cancellation() -> None:
    """It takes half a second at most for all checks, and asyncio.run() does not wait either."""
    async with make_monitor(check(stubborn(1e4)), check(stubborn(1e4), "other")):
        await at(8)
    assert asyncio.get_running_loop().time() <= 8.5
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_leaving_at_once_starts_no_attempt() -> None:
    """The tasks are cancelled before their first step."""
    dependency = Dependency(answers)
    async with make_monitor(check(dependency)):
        pass
    assert dependency.asked == []
