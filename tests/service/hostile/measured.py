"""Measures what an attempt costs its process: time of the event loop, and memory."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path


TICK = 0.005

# Seconds and bytes. An unprotected driver blocks for seconds and takes gigabytes.
MAX_BLOCK = 0.05
MAX_GROWTH = 32 * 2**20


@dataclass(slots=True)
class Cost:
    """The measured cost.

    Attributes:
        block: the longest work of the event loop without a pause, in seconds of CPU time, so that
            other processes on the machine do not count.
        growth: the largest increase of memory, in bytes.
    """

    block: float = 0
    growth: int = 0


def memory(field: str) -> int:
    """Return the memory of this process in bytes, now (`VmRSS`) or at its peak (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(kilobytes) * 1024


@contextlib.asynccontextmanager
async def measured() -> AsyncIterator[Cost]:
    """Measure the cost of the block, and assert that it stays within the limits."""
    cost = Cost()

    async def measure_blocks() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK)
            cost.block = max(cost.block, time.thread_time() - before)

    await asyncio.to_thread(Path("/proc/self/clear_refs").write_text, "5")  # resets VmHWM
    before = memory("VmRSS")
    measuring = asyncio.create_task(measure_blocks())
    try:
        yield cost
        await asyncio.sleep(2 * TICK)
    finally:
        measuring.cancel()
    cost.growth = memory("VmHWM") - before
    assert cost.block < MAX_BLOCK, f"the event loop was blocked for {cost.block:.2f} s"
    assert cost.growth < MAX_GROWTH, f"the memory has grown by {cost.growth} bytes"
