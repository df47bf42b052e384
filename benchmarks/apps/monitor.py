"""A monitor whose checks do nothing, so that only its own cost remains."""

import asyncio
import gc
import sys
import time
import tracemalloc

from app.health import Check, Clock, Monitor


async def empty_probe() -> None:
    """Pass at once."""


async def measure(checks: int, seconds: float) -> tuple[float, int]:
    """Return the share of a CPU that the monitor uses, and the bytes that its memory grows by."""
    idle = [Check(name=str(number), probe=empty_probe) for number in range(checks)]
    async with Monitor(idle, clock=Clock()):
        await asyncio.sleep(1)
        used, started = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        share = (time.process_time() - used) / (time.perf_counter() - started)
        tracemalloc.start()
        await asyncio.sleep(seconds / 2)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await asyncio.sleep(seconds / 2)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    return share, after - before


print(*asyncio.run(measure(int(sys.argv[1]), float(sys.argv[2]))))
