"""CheckLogger logs transitions and reminders."""

import asyncio
import logging

import pytest

from app.health import Check, Clock, Monitor, Report, Status, Transition
from app.health.monitor import MAX_CAUSE
from app.logs.events import REMIND_EVERY, CheckLogger
from app.text import MAX_LENGTH
from tests.support.fakes import SimulatedClock, simulate


class FlakyProbe:
    """A probe that raises its attribute `error`, if it has one."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> None:
        if self.error:
            raise self.error


def redact(text: str) -> str:
    """Replace the one secret of these tests."""
    return text.replace("the secret", "***")


def logged_monitor(probe: FlakyProbe, clock: Clock) -> Monitor:
    """Return a monitor of one check whose results are logged."""
    monitor = Monitor([Check(name="it", probe=probe)], clock=clock)
    check_logger = CheckLogger(monitor.report, redact)
    monitor.subscribe(on_result=check_logger.on_result, on_transition=check_logger.on_transition)
    return monitor


async def fail_for_eleven_minutes() -> None:
    """Let a dependency fail for eleven minutes with two errors, and then answer for ten."""
    probe = FlakyProbe()
    clock = SimulatedClock(asyncio.get_running_loop())
    async with logged_monitor(probe, clock):
        await asyncio.sleep(0.5)
        probe.error = OSError("the secret is out")
        await asyncio.sleep(1.5 * REMIND_EVERY)
        probe.error = OSError("and the secret is another")
        await asyncio.sleep(0.7 * REMIND_EVERY)
        probe.error = None
        await asyncio.sleep(2 * REMIND_EVERY)


def test_a_reminder_is_logged_every_five_minutes(caplog: pytest.LogCaptureFixture) -> None:
    """While the check fails, with the latest cause."""
    with caplog.at_level(logging.INFO, logger="vitals"):
        simulate(fail_for_eleven_minutes())
    events = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert events == [
        ("INFO", "check status changed"),
        ("WARNING", "check status changed"),
        ("WARNING", "check still failing"),
        ("WARNING", "check still failing"),
        ("INFO", "check status changed"),
    ]
    fields = [vars(record) for record in caplog.records]
    assert fields[1]["cause"] == "OSError: *** is out"
    assert fields[2]["cause"] == "OSError: *** is out"
    assert fields[3]["cause"] == "OSError: and *** is another"
    assert fields[2]["failures"] == pytest.approx(REMIND_EVERY, abs=60)
    assert fields[4]["duration_s"] == pytest.approx(2.2 * REMIND_EVERY, abs=2)


def test_a_second_failure_starts_a_new_reminder(caplog: pytest.LogCaptureFixture) -> None:
    """Three minutes of failure, three without and three of another failure: no reminder is due."""

    async def fail_twice() -> None:
        probe = FlakyProbe()
        clock = SimulatedClock(asyncio.get_running_loop())
        async with logged_monitor(probe, clock):
            for error in (OSError(), None, OSError()):
                probe.error = error
                await asyncio.sleep(REMIND_EVERY * 0.6)

    with caplog.at_level(logging.INFO, logger="vitals"):
        simulate(fail_twice())
    assert "check still failing" not in [record.getMessage() for record in caplog.records]


def test_a_flapping_check_has_one_timer() -> None:
    """A hundred transitions a second would otherwise leave thousands of timers."""

    async def flap() -> int:
        clock = SimulatedClock(asyncio.get_running_loop())
        check_logger = CheckLogger(lambda: Report(()), redact)
        for number in range(1000):
            before, after = (Status.PASS, Status.FAIL)[:: 1 if number % 2 else -1]
            check_logger.on_transition(
                Transition(
                    name="it",
                    before=before,
                    after=after,
                    reason=None,
                    at=clock.now(),
                    lasted=0.01,
                ),
                "",
            )
        await asyncio.sleep(0)
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio counts them nowhere else
        return sum(not timer.cancelled() for timer in timers)

    assert simulate(flap()) == 1


def test_the_log_shows_less_of_a_cause_than_is_kept() -> None:
    """So redaction sees whether the cause was cut."""
    assert MAX_CAUSE > MAX_LENGTH
