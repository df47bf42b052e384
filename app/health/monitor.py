"""Runs all checks in the background, so that a request needs no I/O and can't be late."""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Self

from app.health.history import History, Transition, detect_transition
from app.health.model import Check, Clock, Observation, Report, Result, UnexpectedAnswerError
from app.health.reasons import Reason


# Seconds that a cancelled attempt may take to end before the check counts as stuck. An attempt
# that honors cancellation needs one iteration of the event loop. Longer times delay the next
# attempt, and with high thresholds the verdict by their sum.
CANCEL_GRACE = 0.02

# Iterations of the event loop after a deadline. Each one reads what the network has delivered and
# advances the attempt by a step, so an answer that arrived in time counts, however late the event
# loop is. A cancelled attempt gets as many iterations to end.
DRAIN_ITERATIONS = 10

# A stuck attempt is abandoned this many timeouts after its start. Otherwise one lost answer would
# keep a recovered dependency failing. At most MAX_ABANDONED attempts are left behind.
STUCK_TIMEOUTS = 3
MAX_ABANDONED = 2

# Intervals are shortened at random by up to this share, so that the instances of a fleet do not
# check at the same moment.
JITTER = 0.1

# Ticks of a second, and of a shorter interval. Attempts start on a tick, so those that are due at
# about the same time share a wake-up of the process, which costs as much as a check. Ticks count
# from the start of the process, so that they differ between instances.
TICKS = 32

# Characters of a cause that are kept: a server may send megabytes. The log shows fewer, so that
# redaction sees where the text was cut.
MAX_CAUSE = 1000

# Seconds that closing waits for attempts that were cancelled.
CLOSE_GRACE = 0.5

Attempt = asyncio.Task[BaseException | None]
ResultCallback = Callable[[str, Result], None]
TransitionCallback = Callable[[Transition, str], None]


class CheckRunner:
    """Runs one check forever, and enforces its deadline even if a driver ignores cancellation."""

    def __init__(
        self,
        check: Check,
        clock: Clock,
        on_result: ResultCallback,
        on_transition: TransitionCallback,
        jitter: Callable[[], float],
    ) -> None:
        self.check = check
        self.observation = Observation(check=check, since=clock.now())
        self._created = self.observation.since.steady
        self._clock = clock
        self._on_result = on_result
        self._on_transition = on_transition
        self._jitter = jitter
        self._attempts: set[Attempt] = set()

    async def run(self) -> None:
        """Run the check at its interval until cancelled."""
        try:
            while True:
                started = self._clock.steady()
                attempt = asyncio.create_task(_attempt(self.check), name=f"check {self.check.name}")
                self._attempts.add(attempt)
                attempt.add_done_callback(self._attempts.discard)
                self._record(await self._await_result(attempt, started))
                if not attempt.done():
                    await self._wait_for_stuck(attempt, started)
                due = self._next_start(started)
                await asyncio.sleep(max(0.0, due - self._clock.steady()))
        finally:
            await self._close()

    def _next_start(self, started: float) -> float:
        """Return when the attempt after one that has *started* is due: on a tick."""
        interval = self.check.interval
        tick = min(interval, 1.0) / TICKS
        due = started + interval - (JITTER * interval - tick) * self._jitter()
        return due - (due - self._created) % tick

    async def _await_result(self, attempt: Attempt, started: float) -> Result:
        """Return the result of an attempt. Cancel the attempt if it misses its deadline."""
        # `asyncio.timeout()` and `wait_for()` would return only after the driver's own cleanup,
        # which may take seconds.
        await asyncio.wait({attempt}, timeout=self.check.timeout)
        await _drain_iterations(attempt)
        latency = self._clock.steady() - started
        error = _error_of(attempt)
        if error is None:
            # An answer that is read late proves nothing about the time after its deadline.
            at = self._clock.now() + min(0.0, self.check.timeout - latency)
            hint, facts = self.check.hint_after(None), self.check.facts()
            return Result(at=at, latency=latency, hint=hint, facts=facts)
        # Explained before the cancellation, which hides what the attempt was waiting for.
        reason = self.check.reason_for(error)
        if not attempt.done():
            attempt.cancel()
            await _drain_iterations(attempt)
            await asyncio.wait({attempt}, timeout=CANCEL_GRACE)
            if not attempt.done():
                reason = Reason.STUCK
        return Result(
            at=self._clock.now(),
            latency=latency,
            reason=reason,
            cause=_describe(error),
            mismatch=str(error) if isinstance(error, UnexpectedAnswerError) else "",
            hint=self.check.hint_after(error),
            facts=self.check.facts(),
        )

    def _record(self, result: Result) -> None:
        """Update the observation. If it had gone stale before, record that first."""
        for observation, cause in (
            (self.observation.at(result.at), "no result in time"),
            (self.observation.after(result), result.cause),
        ):
            transition = detect_transition(self.observation, observation)
            self.observation = observation
            if transition:
                self._on_transition(transition, cause)
        self._on_result(self.check.name, result)

    async def _wait_for_stuck(self, stuck: Attempt, started: float) -> None:
        """Wait until a stuck attempt has ended, or may be abandoned."""
        patience = started + STUCK_TIMEOUTS * self.check.timeout - self._clock.steady()
        await asyncio.wait({stuck}, timeout=max(0.0, patience))
        while not stuck.done() and len(self._attempts) > MAX_ABANDONED:
            await asyncio.wait(self._attempts, return_when=asyncio.FIRST_COMPLETED)

    async def _close(self) -> None:
        for attempt in self._attempts:
            attempt.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=CLOSE_GRACE)
        for attempt in self._attempts:
            # Otherwise asyncio.run() would wait for the task until it ends.
            asyncio._unregister_task(attempt)  # noqa: SLF001 - documented, under this name alone
            # Otherwise asyncio would log that a pending task was destroyed.
            attempt._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio.gather does


async def _attempt(check: Check) -> BaseException | None:
    """Run the probe once, and return what it raised. No other code catches a probe's errors."""
    try:
        await check.probe()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - a driver that raises SystemExit has failed, too
        return error
    return None


async def _drain_iterations(attempt: Attempt) -> None:
    """Let the event loop run until the attempt has ended, for DRAIN_ITERATIONS at most."""
    for _ in range(DRAIN_ITERATIONS):
        if attempt.done():
            return
        await asyncio.sleep(0)


def _describe(error: BaseException) -> str:
    """Return an error's class, the beginning of its text, and its notes."""
    try:
        text = f"{type(error).__name__}: {str(error)[:MAX_CAUSE]}"
        return "; ".join([text, *getattr(error, "__notes__", ())])
    except Exception:  # noqa: BLE001 - __str__ may raise; the name of the class remains
        return type(error).__name__


def _error_of(attempt: Attempt) -> BaseException | None:
    if not attempt.done():
        return TimeoutError("no answer within the deadline")
    if attempt.cancelled():
        return asyncio.CancelledError("cancelled by the driver")
    return attempt.result()


# Transitions of each check that are kept.
HISTORY_LENGTH = 1000


class Monitor:
    """Runs all checks. Entering the context starts them, leaving it stops them within a moment.

    Attributes:
        history: by the name of the check.

    Args:
        jitter: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        checks: Iterable[Check],
        *,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._result_callbacks: list[ResultCallback] = []
        self._transition_callbacks: list[TransitionCallback] = []
        self._runners = [
            CheckRunner(check, clock, self._on_result, self._on_transition, jitter)
            for check in checks
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._latest: Report | None = None
        names = [runner.check.name for runner in self._runners]
        self.history = {name: History(HISTORY_LENGTH) for name in names}
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"more than one check is named {', '.join(sorted(duplicates))}")

    def subscribe(
        self,
        *,
        on_result: ResultCallback | None = None,
        on_transition: TransitionCallback | None = None,
    ) -> None:
        """Register callbacks; the event loop calls them, so their errors can't stop a check.

        Args:
            on_result: gets the name of a check and each of its results.
            on_transition: gets each transition and its cause: the text of the error.
        """
        if on_result:
            self._result_callbacks.append(on_result)
        if on_transition:
            self._transition_callbacks.append(on_transition)

    @property
    def latest(self) -> Report:
        """The report after the last result, which replaces it. It holds until it expires."""
        if not self._latest:
            self._latest = Report(tuple(runner.observation for runner in self._runners))
        return self._latest

    def report(self) -> Report:
        """Return the current report. A result older than its lifetime counts as failed."""
        return self.latest.at(self._clock.now())

    def _on_result(self, name: str, result: Result) -> None:
        self._latest = None
        self.history[name].trend.add(result)
        for callback in self._result_callbacks:
            asyncio.get_running_loop().call_soon(callback, name, result)

    def _on_transition(self, transition: Transition, cause: str) -> None:
        self.history[transition.name].add(transition)
        for callback in self._transition_callbacks:
            asyncio.get_running_loop().call_soon(callback, transition, cause)

    async def __aenter__(self) -> Self:
        for runner in self._runners:
            task = asyncio.create_task(runner.run(), name=f"check runner {runner.check.name}")
            task.add_done_callback(report_crash)
            self._tasks.append(task)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def report_crash(task: asyncio.Task[None]) -> None:
    """Pass the error of a task that has crashed to the event loop."""
    if not task.cancelled() and (error := task.exception()):
        message = f"{task.get_name()} has ended"
        task.get_loop().call_exception_handler({"message": message, "exception": error})
