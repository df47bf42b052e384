import asyncio

import pytest

from app.health import Reason, Status
from tests.support.fakes import Dependency, SimulatedClock, answers, fails, hangs
from tests.unit.health.helpers import at, check, make_monitor, summary


class Unprintable(Exception):  # noqa: N818 - the cause shows this name
    def __str__(self) -> str:
        raise ValueError("no text")


NOTED = OSError("refused")
NOTED.add_note("address 127.0.0.1")
NOTED.add_note("port 1")


async def cancel_all_other_tasks() -> None:
    """Cancel every task but the current one."""
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
async def test_any_exception_of_a_probe_is_a_failed_result(error: BaseException) -> None:
    """A driver that raises SystemExit, or an error without text, does not stop the check."""
    async with make_monitor(check(Dependency(fails(error), answers))) as monitor:
        await at(0.5)
        assert summary(monitor) == "fail error"
        await at(1.5)
        assert summary(monitor) == "pass"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError("refused"), "OSError: refused"),
        (OSError("n" * 10**6), "OSError: " + "n" * 1000),
        (NOTED, "OSError: refused; address 127.0.0.1; port 1"),
        (Unprintable(), "Unprintable"),
        (asyncio.CancelledError(), "CancelledError: cancelled by the driver"),
    ],
)
async def test_a_failure_has_the_text_of_its_error_as_cause(
    error: BaseException, cause: str
) -> None:
    """Cut if it is long; the name of the class if there is no text."""
    causes: list[str] = []
    async with make_monitor(check(fails(error)), on_transition=lambda _, text: causes.append(text)):
        await at(0.5)
    assert causes == [cause]


async def test_explain_gets_the_error_of_the_probe() -> None:
    """The same object, not a copy."""
    refusal, received = OSError("refused"), list[BaseException]()

    def explain(error: BaseException) -> Reason:
        received.append(error)
        return Reason.REFUSED

    async with make_monitor(check(fails(refusal), explain=explain)) as monitor:
        await at(0.5)
        assert summary(monitor) == "fail refused"
    assert received == [refusal]


async def test_an_attempt_that_a_driver_cancels_is_a_failure() -> None:
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


async def test_a_missed_deadline_is_explained_before_the_cancellation() -> None:
    """Only then the probe knows what the attempt is waiting for."""
    dependency = Dependency(hangs)
    calls = []

    def explain(error: BaseException) -> Reason:
        assert dependency.attempt
        calls.append((type(error), dependency.attempt.cancelling()))
        return Reason.CONNECT_TIMEOUT

    async with make_monitor(check(dependency, explain=explain)) as monitor:
        await at(1.05)
        assert summary(monitor) == "fail connect_timeout"
    assert calls == [(TimeoutError, 0)]


@pytest.mark.parametrize(("required", "expected"), [(True, Status.FAIL), (False, Status.WARN)])
async def test_the_check_of_a_cancelled_runner_becomes_stale(
    *, required: bool, expected: Status
) -> None:
    """Within the guaranteed time, although no task is left that could report it."""
    monitor = make_monitor(check(answers, required=required))
    async with monitor:
        await at(3.5)
        await cancel_all_other_tasks()
        await at(3 + 2.39)
        assert summary(monitor) == "pass"
        await at(3 + 2.41)
        assert (summary(monitor), monitor.report().status) == ("fail stale", expected)
    await at(1000)
    assert summary(monitor) == "fail stale"


async def test_a_runner_that_is_cancelled_before_its_first_result_keeps_the_report_incomplete() -> (
    None
):
    """A service whose monitor dies during the start never becomes ready."""
    async with make_monitor(check(hangs), check(answers, "other")) as monitor:
        await at(0.5)
        await cancel_all_other_tasks()
        await at(1000)
        assert summary(monitor) == "unknown, fail stale"
        assert not monitor.report().complete


async def test_results_are_stale_after_the_machine_was_suspended() -> None:
    """The next result applies at once, whatever the threshold."""
    clock = SimulatedClock(asyncio.get_running_loop())
    async with make_monitor(check(answers, success_threshold=3), clock=clock) as monitor:
        await at(1.5)
        clock.slept += 60
        assert summary(monitor) == "fail stale"
        await at(2.5)
        assert summary(monitor) == "pass"
    assert [change.reason for change in monitor.history["it"].transitions] == [
        None,
        Reason.STALE,
        None,
    ]


@pytest.mark.parametrize("step", [3600, -3600])
async def test_setting_the_wall_clock_changes_only_dates(step: float) -> None:
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
