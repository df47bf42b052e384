"""What the log says of the checks: each turn once, and that something is still broken."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

from app.health import Report, Result, Status, Transition
from app.health.reasons import Advice


# Seconds between two reminders of a check that stays broken.
REMIND_EVERY = 300

logger = logging.getLogger("vitals")


class CheckLogger:
    """Writes a line for each transition, and a reminder every five minutes while a check fails.

    Args:
        report: what is known now.
        redact: takes out of a cause what must not stand in a line.

    """

    def __init__(self, report: Callable[[], Report], redact: Callable[[str], str]) -> None:
        self._report = report
        self._redact = redact
        self._causes: dict[str, str] = {}
        self._hints: defaultdict[str, set[Advice]] = defaultdict(set)
        self._reminders: dict[str, asyncio.TimerHandle] = {}

    def hear(self, name: str, result: Result) -> None:
        """Keep the latest cause for the next reminder, and log a hint once until it passes."""
        self._causes[name] = result.cause  # it may be another than at the turn
        if result.hint and result.hint not in self._hints[name]:
            self._hints[name].add(result.hint)
            logger.warning("advice given", extra={"check": name, "advice": str(result.hint)})

    def tell(self, transition: Transition, cause: str) -> None:
        """Write down a transition; the cause goes nowhere but here."""
        logger.log(
            logging.INFO if transition.after is Status.PASS else logging.WARNING,
            "check turned",
            extra={
                "check": transition.name,
                "from": transition.before.word,
                "to": transition.after.word,
                "reason": transition.reason,
                "lasted_s": round(transition.lasted, 3),
                "cause": self._redact(cause),
            },
        )
        # One timer a check, however often it turns.
        if earlier := self._reminders.pop(transition.name, None):
            earlier.cancel()
        if transition.after is Status.FAIL:
            self._remind_later(transition)
        elif transition.before is Status.FAIL:
            self._hints.pop(transition.name, None)

    def _remind_later(self, transition: Transition) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(REMIND_EVERY, self._remind, transition)
        self._reminders[transition.name] = timer

    def _remind(self, transition: Transition) -> None:
        for known in self._report().checks:
            if (known.check.name, known.since) == (transition.name, transition.at):
                logger.warning(
                    "check still fails",
                    extra={
                        "check": transition.name,
                        "reason": known.reason,
                        "since": transition.at.wall,
                        "failures": known.failures,
                        "cause": self._redact(self._causes.get(transition.name, "")),
                    },
                )
                self._remind_later(transition)
