"""The program that is attacked: it runs the real probes, on orders that come as lines of JSON.

It imports nothing of the tests, so that it can run the `app` of another checkout (`PYTHONPATH`).
It answers each order with a line, and reports by itself what must not happen: a block of the
event loop, or an exception that reaches no one.
"""

import asyncio
import ctypes
import gc
import json
import resource
import sys
import threading
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import uvloop

from app.checks.http import http
from app.checks.postgres import postgres
from app.checks.redis import redis


# Seconds that a cancelled attempt may take to end, on a busy machine.
CANCEL_GRACE = 5

# Seconds between two looks at the event loop. A block is counted by the processor time of its
# thread, as a busy machine delays it too; one of STALL seconds is counted in any case.
BEAT, BLOCK, STALL = 0.01, 0.05, 2

# Seconds in which the threads and tasks of abandoned attempts have to end.
SETTLE = 10


def say(**report: object) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


async def watch_blocks() -> None:
    """Report each block of the event loop."""
    while True:
        due, used = time.perf_counter() + BEAT, time.thread_time()
        await asyncio.sleep(BEAT)
        late = time.perf_counter() - due
        blocked = late if late > STALL else min(late, time.thread_time() - used)
        if blocked > BLOCK:
            say(fault=f"a block of {blocked:.3f} s")


def opened(order: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    """Make the probe that an order names."""
    url, password = order["url"], order["password"]
    if order["kind"] == "http":
        return http(url, dict, expect=200)
    read = None if password is None else (lambda: str(password))
    make = postgres if order["kind"] == "postgres" else redis
    return make(url, read, require=order["require"], renew_after=86400)


async def outcome(probe: Any, seconds: float) -> tuple[str, str, str]:
    """Ask once, as the monitor does; return the reason with the class and words of its cause."""
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


async def obey(order: dict[str, Any]) -> None:
    """Ask as often as ordered, or until it fails."""
    outcomes: list[tuple[str, str, str]] = []
    async with opened(order) as probe:
        while len(outcomes) < order["asks"] and all(one[0] == "pass" for one in outcomes):
            outcomes.append(await outcome(probe, order["timeout"]))
    say(lane=order["lane"], outcomes=outcomes)


def held() -> dict[str, int]:
    """Count what an attempt may leave behind."""
    return {
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def memory() -> int:
    """Return how many bytes are resident, without those that the C library keeps for later."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def rest(empty: dict[str, int]) -> None:
    """Wait until nothing is left of any attempt; report what is, and the memory that is used."""
    deadline = time.monotonic() + SETTLE
    gc.collect()
    while held() != empty and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    left = {name: count - empty[name] for name, count in held().items() if count != empty[name]}
    say(lane=None, left=left, memory=memory())


async def main() -> None:
    """Obey until the orders end."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: say(fault=f"asyncio: {context['message']} {context.get('exception')!r}")
    )
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    watching = asyncio.create_task(watch_blocks())
    running = set[asyncio.Task[None]]()
    empty = held()
    while line := await orders.readline():
        order = json.loads(line)
        if order:
            task = asyncio.create_task(obey(order))
            running.add(task)
            task.add_done_callback(running.discard)
        else:
            await rest(empty)
    watching.cancel()


def unraisable(fault: Any) -> None:
    """Report an exception that only a hook hears of."""
    say(fault=f"unraisable: {getattr(fault, 'exc_value', fault)!r}")


if __name__ == "__main__":
    sys.unraisablehook = threading.excepthook = unraisable
    gc.freeze()  # as `vitals serve` does
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    with asyncio.Runner(loop_factory=loops[sys.argv[1]]) as runner:
        runner.run(main())
