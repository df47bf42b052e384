"""What an attempt costs the process that makes it: time of its event loop, and memory."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path


TICK = 0.005

# Seconds and bytes. What a driver did to the event loop took seconds, and gigabytes.
MAX_BLOCK = 0.05
MAX_GROWTH = 32 * 2**20


@dataclass(slots=True)
class Cost:
    """What was measured.

    Attributes:
        block: the longest work of the event loop without a pause, in seconds of its processor:
            other work on the same machine does not count.
        growth: the most memory used beyond what was used before, in bytes.

    """

    block: float = 0
    growth: int = 0


def memory(what: str) -> int:
    """Return the bytes that this process has in memory (`VmRSS`), or had at most (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return int(kilobytes) * 1024


@contextlib.asynccontextmanager
async def measured() -> AsyncIterator[Cost]:
    """Measure until the block ends, and assert that nothing was blocked or filled."""
    cost = Cost()

    async def look() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK)
            cost.block = max(cost.block, time.thread_time() - before)

    await asyncio.to_thread(Path("/proc/self/clear_refs").write_text, "5")  # resets VmHWM
    before = memory("VmRSS")
    looking = asyncio.create_task(look())
    try:
        yield cost
        await asyncio.sleep(2 * TICK)
    finally:
        looking.cancel()
    cost.growth = memory("VmHWM") - before
    assert cost.block < MAX_BLOCK, f"the event loop was blocked for {cost.block:.2f} s"
    assert cost.growth < MAX_GROWTH, f"the memory has grown by {cost.growth} bytes"
