"""One attempt at a question, under the deadline that the monitor would keep."""

import asyncio
from collections.abc import Callable

from app.checks.session import SessionProbe
from app.health import Reason


async def failure(probe: SessionProbe, within: float = 0.5) -> Reason:
    """Ask, and tell why it failed."""
    attempt = asyncio.create_task(probe())
    await asyncio.wait({attempt}, timeout=within)
    if attempt.done():
        error = attempt.exception()
        assert error, "it passed"
        return probe.explain(error)
    reason = probe.explain(TimeoutError())
    attempt.cancel()
    await asyncio.wait({attempt}, timeout=0.1)
    assert attempt.done(), "an attempt that is cancelled ends at once"
    return reason


async def eventually(condition: Callable[[], bool], within: float = 5) -> None:
    """Wait until something holds that a server does in its own time."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
