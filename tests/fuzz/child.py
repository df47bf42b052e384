"""The program under attack: it runs the real probes on orders, which are lines of JSON.

It imports nothing from the tests, so that it can run the `app` of another checkout (`PYTHONPATH`).
It answers each order with a line. On its own it reports faults: a blocked event loop, or an
unhandled exception.
"""

import asyncio
import ctypes
import gc
import json
import resource
import sys
import threading
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import uvloop

# The first probes would import the drivers on the event loop.
import app.checks.postgres_server
import app.checks.redis_server  # noqa: F401
from app.checks.kind import CheckSpec, Resources
from app.checks.registry import BY_SCHEME


# Seconds that a cancelled attempt may take to end, on a busy machine.
CANCEL_GRACE = 5

# Seconds between two measurements of the event loop. A block is measured in CPU time, as a busy
# machine delays the loop too. A delay of STALL seconds counts in any case.
BEAT, BLOCK, STALL = 0.01, 0.05, 2

# Seconds in which the threads and tasks of abandoned attempts must end.
SETTLE = 10


def report(**fields: object) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def watch_blocks() -> None:
    """Report each block of the event loop."""
    while True:
        due, used = time.perf_counter() + BEAT, time.thread_time()
        await asyncio.sleep(BEAT)
        late = time.perf_counter() - due
        blocked = late if late > STALL else min(late, time.thread_time() - used)
        if blocked > BLOCK:
            report(fault=f"a block of {blocked:.3f} s")


def open_probe(order: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    """Open the probe of an order."""
    kind = BY_SCHEME[order["url"].partition(":")[0]]
    options = kind.options.model_construct(
        url=order["url"],
        auth="none" if order["password"] is None else "password",
        depth=order["require"],
        condition=order["condition"],
        timeout=60,
    )
    resources = Resources(lambda _name: str(order["password"]), reconnect_interval=86400)
    return kind.open(CheckSpec("fuzzed", kind, options), resources)


async def outcome(probe: Any, seconds: float) -> tuple[str, str, str]:
    """Run one attempt, as the monitor does; return the reason, and the error's class and text."""
    attempt = asyncio.create_task(probe())
    await asyncio.wait({attempt}, timeout=seconds)
    if attempt.done():
        error = asyncio.CancelledError() if attempt.cancelled() else attempt.exception()
        if error is None:
            return "pass", "", ""
        return probe.explain(error), type(error).__name__, str(error)[:200]
    reason = probe.explain(TimeoutError())
    attempt.cancel()
    await asyncio.wait({attempt}, timeout=CANCEL_GRACE)
    return reason if attempt.done() else "stuck", "TimeoutError", ""


async def run_order(order: dict[str, Any]) -> None:
    """Run the ordered number of attempts, or until one fails."""
    outcomes: list[tuple[str, str, str]] = []
    async with open_probe(order) as probe:
        while len(outcomes) < order["attempts"] and all(one[0] == "pass" for one in outcomes):
            outcomes.append(await outcome(probe, order["timeout"]))
    report(port=order["port"], outcomes=outcomes)


def count_resources() -> Counter[str]:
    """Count the resources that an attempt could leak."""
    return Counter(
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
    )


def memory() -> int:
    """Return the resident bytes, without free memory that the C library keeps."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def changes(empty: Counter[str]) -> dict[str, int]:
    """Return by how much the counts differ; a probe may also close what is not its own."""
    now = count_resources()
    now.subtract(empty)
    return {name: count for name, count in now.items() if count}


async def report_idle(empty: Counter[str]) -> None:
    """Wait until all attempts have ended; report what they leaked, and the memory in use."""
    deadline = time.monotonic() + SETTLE
    gc.collect()
    while (left := changes(empty)) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    report(port=None, left=left, memory=memory())


async def main() -> None:
    """Run orders until they end."""
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: report(
            fault=f"asyncio: {context['message']} {context.get('exception')!r}"
        )
    )
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_blocks())
        empty = count_resources()
        async for line in orders:
            if order := json.loads(line):
                group.create_task(run_order(order))
            else:
                await report_idle(empty)
        watching.cancel()


def unraisable(fault: Any) -> None:
    """Report an exception that only a hook receives."""
    report(fault=f"unraisable: {getattr(fault, 'exc_value', fault)!r}")


if __name__ == "__main__":
    sys.unraisablehook = threading.excepthook = unraisable
    # Recorded answers repeat or sign random numbers of the client, so these are always zero.
    mock.patch("random._urandom", bytes).start()
    gc.freeze()  # as `vitals serve` does
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    with asyncio.Runner(loop_factory=loops[sys.argv[1]]) as runner:
        runner.run(main())
