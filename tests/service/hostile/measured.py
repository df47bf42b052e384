"""Measures what an attempt costs its process: time of the event loop, and memory."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path


TICK = 0.005

# Seconds and bytes. An unprotected driver blocks for seconds and takes gigabytes.
MAX_BLOCK = 0.05
MAX_GROWTH = 32 * 2**20


def memory(field: str) -> int:
    """Return the memory of this process in bytes, now (`VmRSS`) or at its peak (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(kilobytes) * 1024


@contextlib.asynccontextmanager
async def measured() -> AsyncIterator[None]:
    """Assert that the block neither blocks the event loop nor grows the memory beyond the limits.

    Blocking is work without a pause, in seconds of CPU time, so that other processes do not count.
    """
    longest = 0.0

    async def measure_blocks() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(TICK)
            longest = max(longest, time.thread_time() - before)

    await asyncio.to_thread(Path("/proc/self/clear_refs").write_text, "5")  # resets VmHWM
    before = memory("VmRSS")
    measuring = asyncio.create_task(measure_blocks())
    try:
        yield
        await asyncio.sleep(2 * TICK)
    finally:
        measuring.cancel()
    grown = memory("VmHWM") - before
    assert longest < MAX_BLOCK, f"the event loop was blocked for {longest:.2f} s"
    assert grown < MAX_GROWTH, f"the memory has grown by {grown} bytes"
