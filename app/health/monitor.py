"""Checks every dependency in the background, so that an answer costs nothing and can't be late."""

import asyncio
import random
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from app.health.history import History, Transition, detect_transition
from app.health.model import Check, Clock, Observation, Report, Result
from app.health.reasons import Reason


# How long a cancelled attempt may take to end before it is called stuck. One that honours its
# cancellation takes a turn of the event loop; what it takes longer delays the next one, and with
# high thresholds the verdict by the sum of it.
CANCEL_GRACE = 0.02

# What has arrived by a deadline is heard, however late the event loop is: each of these turns of
# it takes what the network holds and goes one step on. A cancelled attempt has as many to end.
DRAIN_ITERATIONS = 10

# A stuck attempt is given up this many timeouts after its start, so that one lost answer can't
# keep a recovered dependency red, and at most so many are left behind to end when they will.
STUCK_TIMEOUTS = 3
MAX_ABANDONED = 2

# Intervals shorten at random by up to this share, so that a fleet does not ask in step.
JITTER = 0.1

# Characters of a cause that are kept: a server may send megabytes. The log shows fewer still, so
# that redaction knows where it was cut off.
MAX_CAUSE = 1000

# How long closing waits for attempts that were cancelled.
CLOSE_GRACE = 0.5

Attempt = asyncio.Task[BaseException | None]
ResultCallback = Callable[[str, Result], None]
TransitionCallback = Callable[[Transition, str], None]


class CheckRunner:
    """Puts one check's question over and over, and keeps what is known of the answer."""

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
        self._clock = clock
        self._on_check_result = on_result
        self._on_transition = on_transition
        self._jitter = jitter
        self._attempts: set[Attempt] = set()

    async def run(self) -> None:
        """Attempt and judge until cancelled."""
        try:
            while True:
                begun = self._clock.steady()
                attempt = self._begin()
                self._record(await self._outcome(attempt, begun))
                if not attempt.done():
                    await self._wait_for_stuck(attempt, begun)
                pause = self.check.interval * (1 - JITTER * self._jitter())
                await asyncio.sleep(max(0.0, begun + pause - self._clock.steady()))
        finally:
            await self._end()

    def _begin(self) -> Attempt:
        attempt = asyncio.create_task(_attempt(self.check), name=f"check {self.check.name}")
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        return attempt

    async def _outcome(self, attempt: Attempt, begun: float) -> Result:
        # Not `asyncio.timeout()` or `wait_for()`: they return only when the driver has cleaned
        # up after its cancellation, which may take seconds. The deadline is ours to keep.
        await asyncio.wait({attempt}, timeout=self.check.timeout)
        await _drain_iterations(attempt)
        latency = self._clock.steady() - begun
        if attempt.done():
            error = _outcome_error(attempt)
            if error is None:
                # However late it is read, an answer vouches for no moment after its deadline.
                at = self._clock.now() + min(0.0, self.check.timeout - latency)
                return Result(at=at, latency=latency, hint=self.check.hint_after(None))
            return self._result(latency, self.check.reason_for(error), error)
        # Explained before the cancellation takes away what the attempt was waiting for.
        late = TimeoutError("no answer within the deadline")
        reason = self.check.reason_for(late)
        attempt.cancel()
        await _drain_iterations(attempt)
        await asyncio.wait({attempt}, timeout=CANCEL_GRACE)
        return self._result(latency, reason if attempt.done() else Reason.STUCK, late)

    def _result(self, latency: float, reason: Reason, error: BaseException) -> Result:
        now = self._clock.now()
        hint = self.check.hint_after(error)
        return Result(at=now, latency=latency, reason=reason, cause=_describe(error), hint=hint)

    def _record(self, result: Result) -> None:
        self._update(self.observation.at(result.at), "no result in time")
        self._update(self.observation.after(result), result.cause)
        self._on_check_result(self.check.name, result)

    def _update(self, observation: Observation, cause: str) -> None:
        transition = detect_transition(self.observation, observation)
        self.observation = observation
        if transition:
            self._on_transition(transition, cause)

    async def _wait_for_stuck(self, stuck: Attempt, begun: float) -> None:
        """Wait until *stuck* has ended, or may be abandoned."""
        patience = begun + STUCK_TIMEOUTS * self.check.timeout - self._clock.steady()
        await asyncio.wait({stuck}, timeout=max(0.0, patience))
        while not stuck.done() and len(self._attempts) > MAX_ABANDONED:
            await asyncio.wait(self._attempts, return_when=asyncio.FIRST_COMPLETED)

    async def _end(self) -> None:
        for attempt in self._attempts:
            attempt.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=CLOSE_GRACE)
        for attempt in self._attempts:
            # asyncio would wait for it in the end, for however long it goes on.
            asyncio._unregister_task(attempt)  # noqa: SLF001 - documented, under this name alone
            # And would complain of it, which `stuck` has done already.
            attempt._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio.gather does


async def _attempt(check: Check) -> BaseException | None:
    """Put the question once; the only place where a probe's failure is caught, whatever it is."""
    try:
        await check.probe()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - even an exit raised in a driver is a failure
        return error
    return None


async def _drain_iterations(attempt: Attempt) -> None:
    """Let the event loop turn until the attempt has ended, or had its turns."""
    for _ in range(DRAIN_ITERATIONS):
        if attempt.done():
            return
        await asyncio.sleep(0)


def _describe(error: BaseException) -> str:
    """Return an error's class, the beginning of its text, and its notes, if it has any."""
    try:
        text = f"{type(error).__name__}: {str(error)[:MAX_CAUSE]}"
        return "; ".join([text, *getattr(error, "__notes__", ())])
    except Exception:  # noqa: BLE001 - an error that can't be told is no reason to end
        return type(error).__name__


def _outcome_error(attempt: Attempt) -> BaseException | None:
    if attempt.cancelled():
        return asyncio.CancelledError("cancelled by the driver")
    return attempt.result()


# How many transitions of each check are remembered.
HISTORY_LENGTH = 1000


class Monitor:
    """Watches all checks; entering it starts them, leaving it ends them within a moment.

    Attributes:
        latest: what the last results came to, another object after each; true until it expires.

    Args:
        hearer: told each result, with the name of its check.
        listener: told each transition, with the cause in the words of the error.
        jitter: a random number from 0 to 1.

    Raises:
        ValueError: two checks bear the same name.

    """

    def __init__(
        self,
        checks: Iterable[Check],
        *,
        clock: Clock,
        on_result: ResultCallback = lambda _name, _result: None,
        on_transition: TransitionCallback = lambda _transition, _cause: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._on_result = on_result
        self._on_transition = on_transition
        self._runners = [
            CheckRunner(check, clock, self._on_check_result, self._on_check_transition, jitter)
            for check in checks
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._collect()
        names = [runner.check.name for runner in self._runners]
        self.history = {name: History(HISTORY_LENGTH) for name in names}
        if duplicates := {name for name in names if names.count(name) > 1}:
            msg = f"more than one check is named {', '.join(sorted(duplicates))}"
            raise ValueError(msg)

    def report(self) -> Report:
        """Tell what is known now; a result that is too old counts as a failure."""
        return self.latest.at(self._clock.now())

    def _collect(self) -> None:
        self.latest = Report(tuple(runner.observation for runner in self._runners))

    def _on_check_result(self, name: str, result: Result) -> None:
        self._collect()
        self.history[name].trend.add(result)
        asyncio.get_running_loop().call_soon(self._on_result, name, result)

    def _on_check_transition(self, transition: Transition, cause: str) -> None:
        self.history[transition.name].add(transition)
        # Not called from here: what goes wrong in a listener must not end the watch.
        asyncio.get_running_loop().call_soon(self._on_transition, transition, cause)

    async def __aenter__(self) -> Self:
        for runner in self._runners:
            task = asyncio.create_task(runner.run(), name=f"check runner {runner.check.name}")
            task.add_done_callback(_report_crash)
            self._tasks.append(task)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _report_crash(task: asyncio.Task[None]) -> None:
    """Have it told at once if a watch ends by itself; its check is stale from then on."""
    if not task.cancelled() and (error := task.exception()):
        message = f"{task.get_name()} has ended"
        task.get_loop().call_exception_handler({"message": message, "exception": error})
