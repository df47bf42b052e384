"""Puts one question over and over, and keeps every deadline whatever a driver does."""

import asyncio
from collections.abc import Callable

from app.health.check import Check
from app.health.clock import Clock
from app.health.history import Transition, turn
from app.health.report import Observation, Result
from app.health.status import Reason


# How long a cancelled attempt may take to end before it is called stuck. One that honours its
# cancellation takes a turn of the event loop; what it takes longer delays the next one, and with
# high thresholds the verdict by the sum of it.
CANCEL_GRACE = 0.02

# What has arrived by a deadline is heard, however late the event loop is: each of these turns of
# it takes what the network holds and goes one step on. A cancelled attempt has as many to end.
TURNS = 10

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
Hearer = Callable[[str, Result], None]
Listener = Callable[[Transition, str], None]


class Watch:
    """Puts one check's question over and over, and keeps what is known of the answer."""

    def __init__(
        self,
        check: Check,
        clock: Clock,
        hearer: Hearer,
        listener: Listener,
        jitter: Callable[[], float],
    ) -> None:
        self.check = check
        self.known = Observation(check=check, since=clock.now())
        self._clock = clock
        self._hear = hearer
        self._listener = listener
        self._jitter = jitter
        self._attempts: set[Attempt] = set()

    async def run(self) -> None:
        """Attempt and judge until cancelled."""
        try:
            while True:
                begun = self._clock.steady()
                attempt = self._begin()
                self._learn(await self._outcome(attempt, begun))
                if not attempt.done():
                    await self._outlast(attempt, begun)
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
        await _turns(attempt)
        latency = self._clock.steady() - begun
        if attempt.done():
            error = _error_of(attempt)
            if error is None:
                # However late it is read, an answer vouches for no moment after its deadline.
                at = self._clock.now() + min(0.0, self.check.timeout - latency)
                return Result(at=at, latency=latency, hint=self.check.hint_after(None))
            return self._result(latency, self.check.reason_for(error), error)
        # Explained before the cancellation takes away what the attempt was waiting for.
        late = TimeoutError("no answer within the deadline")
        reason = self.check.reason_for(late)
        attempt.cancel()
        await _turns(attempt)
        await asyncio.wait({attempt}, timeout=CANCEL_GRACE)
        return self._result(latency, reason if attempt.done() else Reason.STUCK, late)

    def _result(self, latency: float, reason: Reason, error: BaseException) -> Result:
        now = self._clock.now()
        hint = self.check.hint_after(error)
        return Result(at=now, latency=latency, reason=reason, cause=_words(error), hint=hint)

    def _learn(self, result: Result) -> None:
        self._turn(self.known.at(result.at), "no result in time")
        self._turn(self.known.after(result), result.cause)
        self._hear(self.check.name, result)

    def _turn(self, known: Observation, cause: str) -> None:
        transition = turn(self.known, known)
        self.known = known
        if transition:
            self._listener(transition, cause)

    async def _outlast(self, stuck: Attempt, begun: float) -> None:
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


async def _turns(attempt: Attempt) -> None:
    """Let the event loop turn until the attempt has ended, or had its turns."""
    for _ in range(TURNS):
        if attempt.done():
            return
        await asyncio.sleep(0)


def _words(error: BaseException) -> str:
    """Return an error's class, the beginning of its text, and its notes, if it has any."""
    try:
        text = f"{type(error).__name__}: {str(error)[:MAX_CAUSE]}"
        return "; ".join([text, *getattr(error, "__notes__", ())])
    except Exception:  # noqa: BLE001 - an error that can't be told is no reason to end
        return type(error).__name__


def _error_of(attempt: Attempt) -> BaseException | None:
    if attempt.cancelled():
        return asyncio.CancelledError("cancelled by the driver")
    return attempt.result()
