"""Runs one attempt of a probe under a deadline, as the monitor does."""

import asyncio
from collections.abc import Callable

from app.checks.kind import ExplainingProbe
from app.health import Reason


async def failure(probe: ExplainingProbe, within: float = 2) -> Reason:
    """Run an attempt that fails; return its reason.

    The deadline leaves a busy machine time for an answer.
    """
    attempt = asyncio.create_task(probe())
    await asyncio.wait({attempt}, timeout=within)
    if attempt.done():
        error = attempt.exception()
        assert error, "it passed"
        return probe.explain(error)
    reason = probe.explain(TimeoutError())
    attempt.cancel()
    await asyncio.wait({attempt}, timeout=0.1)
    assert attempt.done(), "a cancelled attempt must end at once"
    return reason


async def eventually(condition: Callable[[], bool], within: float = 5) -> None:
    """Wait until a condition holds, or raise `TimeoutError`."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
