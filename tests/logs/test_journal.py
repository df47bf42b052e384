import asyncio
import logging

import pytest

from app.health import Check, Monitor, Report, Status, Transition
from app.health.monitor import MAX_CAUSE
from app.logs.events import REMIND_EVERY, CheckLogger
from app.text import MAX_LENGTH
from tests.fakes import Hands, simulate


class Flaky:
    """A probe that fails while it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> None:
        if self.error:
            raise self.error


def redact(text: str) -> str:
    """Take out of a cause what should not stand there."""
    return text.replace("the word", "***")


async def story(probe: Flaky) -> None:
    """Break a dependency for eleven minutes, and mend it for ten."""
    hands = Hands(asyncio.get_running_loop())
    journal = CheckLogger(lambda: monitor.report(), redact)  # noqa: PLW0108 - made below
    monitor = Monitor(
        [Check(name="it", probe=probe)],
        clock=hands.clock,
        on_result=journal.on_result,
        on_transition=journal.on_transition,
    )
    async with monitor:
        await asyncio.sleep(0.5)
        probe.error = OSError("the word is out")
        await asyncio.sleep(1.5 * REMIND_EVERY)
        probe.error = OSError("and the word is another")
        await asyncio.sleep(0.7 * REMIND_EVERY)
        probe.error = None
        await asyncio.sleep(2 * REMIND_EVERY)


def test_a_reminder_comes_every_five_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As long as the check fails, and with what is known then, the latest cause included."""
    with caplog.at_level(logging.INFO, logger="vitals"):
        simulate(story(Flaky()))
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
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


def test_a_check_that_breaks_anew_is_reminded_of_anew(caplog: pytest.LogCaptureFixture) -> None:
    """What was mended meanwhile is not what is broken now."""

    async def twice() -> None:
        probe = Flaky()
        hands = Hands(asyncio.get_running_loop())
        journal = CheckLogger(lambda: monitor.report(), redact)  # noqa: PLW0108 - made below
        monitor = Monitor(
            [Check(name="it", probe=probe)], clock=hands.clock, on_transition=journal.on_transition
        )
        async with monitor:
            for error in (OSError(), None, OSError()):
                probe.error = error
                await asyncio.sleep(REMIND_EVERY * 0.6)

    with caplog.at_level(logging.INFO, logger="vitals"):
        simulate(twice())
    assert "check still failing" not in [record.getMessage() for record in caplog.records]


def test_a_check_that_flaps_has_one_reminder_waiting() -> None:
    """Whatever the interval: a hundred turns a second would leave thousands of timers."""

    async def flap() -> int:
        hands = Hands(asyncio.get_running_loop())
        journal = CheckLogger(lambda: Report(()), redact)
        for number in range(1000):
            before, after = (Status.PASS, Status.FAIL)[:: 1 if number % 2 else -1]
            journal.on_transition(
                Transition(
                    name="it",
                    before=before,
                    after=after,
                    reason=None,
                    at=hands.clock.now(),
                    lasted=0.01,
                ),
                "",
            )
        await asyncio.sleep(0)
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio counts them nowhere else
        return sum(not timer.cancelled() for timer in timers)

    assert simulate(flap()) == 1


def test_redaction_knows_where_a_cause_was_cut_off() -> None:
    """The log shows less of a cause than is kept of it."""
    assert MAX_CAUSE > MAX_LENGTH
