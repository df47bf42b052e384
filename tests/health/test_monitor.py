import asyncio
from itertools import pairwise
from typing import Any

import pytest

from app.health import Instant, Monitor, Probe, Reason, Result, Slot, Status, Transition
from tests.fakes import Dependency, SimulatedClock, answers, fails, hangs, stubborn, takes
from tests.health.helpers import at, check, make_monitor, summary


async def test_nothing_is_known_before_the_first_result() -> None:
    """Until every check has one, the report is incomplete and a required check fails the whole."""
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
    """A missed deadline is a result, so starting ends whatever the dependency does."""
    async with make_monitor(check(probe, timeout=2)) as monitor:
        await at(1.99)
        assert not monitor.report().complete
        await at(2.5)
        assert monitor.report().complete


async def test_attempts_begin_an_interval_after_one_another() -> None:
    """From start to start: the time that an answer takes does not add to it."""
    dependency = Dependency(takes(0.4))
    async with make_monitor(check(dependency, interval=2)):
        await at(9)
    assert dependency.asked == [0, 2, 4, 6, 8]


async def test_jitter_shortens_the_interval_by_a_tenth_at_most() -> None:
    """The schedule is never later than promised."""
    dependency = Dependency(answers)
    async with make_monitor(check(dependency, interval=2), jitter=1):
        await at(6)
    assert dependency.asked == pytest.approx([0, 1.8, 3.6, 5.4])


async def test_jitter_is_random_unless_the_caller_says_otherwise() -> None:
    """A fleet that was started at one moment does not ask at one moment for ever."""
    dependency = Dependency(answers)
    async with Monitor([check(dependency)], clock=SimulatedClock(asyncio.get_running_loop())):
        await at(9)
    gaps = [later - earlier for earlier, later in pairwise(dependency.asked)]
    assert 0.9 <= min(gaps) < max(gaps) <= 1


async def test_an_answer_may_take_longer_than_the_interval() -> None:
    """With a timeout above the interval the next attempt begins when the last one has ended."""
    dependency = Dependency(takes(2.5))
    async with make_monitor(check(dependency, timeout=3)) as monitor:
        await at(9)
        assert summary(monitor) == "pass"
    assert dependency.asked == [0, 2.5, 5, 7.5]


async def test_a_check_that_hangs_does_not_delay_another() -> None:
    """Each check has a loop of its own."""
    hanging, stuck, green = Dependency(hangs), Dependency(stubborn(1e4)), Dependency(answers)
    checks = check(hanging, "hangs", timeout=5), check(stuck, "stuck"), check(green, "green")
    async with make_monitor(*checks) as monitor:
        await at(5.5)
        assert summary(monitor) == "fail timeout, fail stuck, pass"
    assert green.asked == [0, 1, 2, 3, 4, 5]


async def test_two_checks_can_not_bear_one_name() -> None:
    """The names are told, each once and in order."""
    checks = [check(answers, name) for name in ("b", "a", "c", "b", "a", "b")]
    with pytest.raises(ValueError, match=r"more than one check is named a, b$"):
        make_monitor(*checks)


async def test_the_listener_is_told_each_transition_and_its_cause() -> None:
    """History keeps them; a result that changes nothing is not told."""
    heard: list[tuple[Transition, str]] = []
    dependency = Dependency(answers, fails(OSError("gone")), fails(OSError("gone")), answers)
    monitor = make_monitor(check(dependency), on_transition=lambda *told: heard.append(told))
    async with monitor:
        await at(4.5)
    words = [(turn.before.word, turn.after.word, turn.lasted, cause) for turn, cause in heard]
    assert words == [
        ("unknown", "pass", 0, ""),
        ("pass", "fail", 1, "OSError: gone"),
        ("fail", "pass", 2, ""),
    ]
    assert monitor.history["it"].transitions == [turn for turn, _ in heard]
    assert monitor.history["it"].trend.at(Instant(4.5, 0))[-1] == Slot(0, 0.0, failed=True)


async def test_what_nobody_has_said_is_told_in_words() -> None:
    """That an answer is missing has a cause too, which the log has."""
    heard: list[tuple[Reason | None, str]] = []
    clock = SimulatedClock(asyncio.get_running_loop())
    terms = check(Dependency(hangs, answers))
    async with make_monitor(
        terms, clock=clock, on_transition=lambda turn, cause: heard.append((turn.reason, cause))
    ):
        await at(2.5)
        clock.slept += 60
        await at(3.5)
    assert heard == [
        (Reason.TIMEOUT, "TimeoutError: no answer within the deadline"),
        (None, ""),
        (Reason.STALE, "no result in time"),
        (None, ""),
    ]


async def test_tasks_are_named_for_their_checks() -> None:
    """Whoever looks at a process that hangs sees which dependency it waits for."""
    async with make_monitor(check(hangs)):
        await at(0.5)
        names = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
    assert names == {"check runner it", "check it"}


async def test_a_thousand_turns_are_remembered() -> None:
    """The latest: a check that flaps for days fills no memory."""
    flapping = (answers, fails(OSError())) * 505
    async with make_monitor(check(Dependency(*flapping))) as monitor:
        await at(1009.5)
        turns = monitor.history["it"].transitions
    assert (len(turns), turns[-1].at.steady) == (1000, 1009)


async def test_the_hearer_is_told_each_result() -> None:
    """Those that change nothing too, with the name of the check."""
    heard: list[tuple[str, Reason | None, float]] = []
    gone = fails(OSError("gone"))
    monitor = make_monitor(
        check(Dependency(answers, gone, gone, takes(0.5), hangs)),
        on_result=lambda name, result: heard.append((name, result.reason, result.latency)),
    )
    async with monitor:
        await at(5.5)
    assert heard == [
        ("it", None, 0),
        ("it", Reason.ERROR, 0),
        ("it", Reason.ERROR, 0),
        ("it", None, 0.5),
        ("it", Reason.TIMEOUT, 1),
    ]


async def test_a_hearer_that_raises_does_not_end_the_watch() -> None:
    """Its error goes where asyncio tells errors."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, details: errors.append(details))

    def on_result(name: str, _result: Result) -> None:
        raise LookupError(name)

    async with make_monitor(check(Dependency(answers)), on_result=on_result) as monitor:
        await at(1.5)
        assert summary(monitor) == "pass"
    assert [type(details["exception"]) for details in errors] == [LookupError, LookupError]


async def test_a_listener_that_raises_does_not_end_the_watch() -> None:
    """Its error goes where asyncio tells errors."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, details: errors.append(details))

    def on_transition(_transition: Transition, cause: str) -> None:
        raise LookupError(cause)

    dependency = Dependency(fails(OSError()), answers)
    async with make_monitor(check(dependency), on_transition=on_transition) as monitor:
        await at(1.5)
        assert summary(monitor) == "pass"
    assert [type(details["exception"]) for details in errors] == [LookupError, LookupError]


async def test_leaving_ends_every_attempt() -> None:
    """An attempt that can be cancelled is, and nothing of the monitor's is left."""
    async with make_monitor(check(hangs, timeout=60), check(takes(30), "other", timeout=60)):
        await at(5)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert asyncio.get_running_loop().time() == 5


async def test_leaving_does_not_wait_for_attempts_that_can_not_be_ended() -> None:
    """Half a second at most, for however many attempts and checks; nor does asyncio's own end."""
    async with make_monitor(check(stubborn(1e4)), check(stubborn(1e4), "other")):
        await at(8)
    assert asyncio.get_running_loop().time() <= 8.5
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_leaving_at_once_is_leaving_too() -> None:
    """A monitor that is left before it could run asks nothing."""
    dependency = Dependency(answers)
    async with make_monitor(check(dependency)):
        pass
    assert dependency.asked == []
