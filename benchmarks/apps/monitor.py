"""A monitor of checks that do nothing: what is left is its own cost."""

import asyncio
import gc
import sys
import time
import tracemalloc

from app.health import Check, Clock, Monitor


async def nothing() -> None:
    """Pass."""


async def watch(checks: int, seconds: float) -> tuple[float, int]:
    """Tell the share of a core that is used, and the bytes that are held in the end."""
    them = [Check(name=str(number), probe=nothing) for number in range(checks)]
    async with Monitor(them, clock=Clock()):
        await asyncio.sleep(1)
        used, begun = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        share = (time.process_time() - used) / (time.perf_counter() - begun)
        tracemalloc.start()
        await asyncio.sleep(seconds / 2)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await asyncio.sleep(seconds / 2)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    return share, after - before


print(*asyncio.run(watch(int(sys.argv[1]), float(sys.argv[2]))))
