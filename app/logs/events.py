"""Log events of the checks and of the start."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from app.health import Check, Report, Result, Status, Transition
from app.health.reasons import Advice
from app.text import format_time


# Seconds between two reminders of a check that still fails.
REMIND_EVERY = 300

logger = logging.getLogger("vitals")


def log_start(version: str, addresses: Sequence[str], checks: Iterable[Check]) -> None:
    """Log the version, the addresses that the server listens on, and the checks.

    Args:
        addresses: URLs; empty if another server than ours runs the application.
    """
    logger.info(
        "service started",
        extra={
            "version": version,
            "address": " ".join(addresses),
            "checks": [
                {
                    "name": check.name,
                    "kind": check.kind,
                    "interval_s": check.interval,
                    "timeout_s": check.timeout,
                    "failure_threshold": check.failure_threshold,
                    "success_threshold": check.success_threshold,
                    "required": check.required,
                }
                for check in checks
            ],
        },
    )


def log_deprecated(setting: str, advice: str) -> None:
    """Log that a deprecated setting is used."""
    logger.warning("setting deprecated", extra={"setting": setting, "advice": advice})


class CheckLogger:
    """Logs each transition, and a reminder every five minutes while a check fails."""

    def __init__(self, report: Callable[[], Report], redact: Callable[[str], str]) -> None:
        self._report = report
        self._redact = redact
        self._causes: dict[str, str] = {}
        self._logged_advice: defaultdict[str, set[Advice]] = defaultdict(set)
        self._reminders: dict[str, asyncio.TimerHandle] = {}

    def on_result(self, name: str, result: Result) -> None:
        """Keep the cause for the next reminder, and log new advice once until the check passes."""
        self._causes[name] = result.cause  # may differ from the transition's
        if result.hint and result.hint not in self._logged_advice[name]:
            self._logged_advice[name].add(result.hint)
            logger.warning(
                "check advice available", extra={"check": name, "advice": str(result.hint)}
            )

    def on_transition(self, transition: Transition, cause: str) -> None:
        """Log a transition with its cause, which appears nowhere else. Schedule a reminder."""
        logger.log(
            logging.INFO if transition.after is Status.PASS else logging.WARNING,
            "check status changed",
            extra={
                "check": transition.name,
                "from": transition.before.word,
                "to": transition.after.word,
                "reason": transition.reason,
                "duration_s": round(transition.lasted, 3),
                "cause": self._redact(cause),
            },
        )
        # One timer per check, no matter how often its status changes.
        if reminder := self._reminders.pop(transition.name, None):
            reminder.cancel()
        if transition.after is Status.FAIL:
            self._schedule_reminder(transition)
        elif transition.before is Status.FAIL:
            self._logged_advice.pop(transition.name, None)

    def _schedule_reminder(self, transition: Transition) -> None:
        loop = asyncio.get_running_loop()
        reminder = loop.call_later(REMIND_EVERY, self._remind, transition)
        self._reminders[transition.name] = reminder

    def _remind(self, transition: Transition) -> None:
        for known in self._report().checks:
            if (known.check.name, known.since) == (transition.name, transition.at):
                logger.warning(
                    "check still failing",
                    extra={
                        "check": transition.name,
                        "reason": known.reason,
                        "since": format_time(transition.at.wall),
                        "failures": known.failures,
                        "cause": self._redact(self._causes.get(transition.name, "")),
                    },
                )
                self._schedule_reminder(transition)
