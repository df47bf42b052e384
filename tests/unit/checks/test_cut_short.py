"""Attempts that are cancelled in each iteration of the event loop leave no error in the log."""

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from socketserver import StreamRequestHandler
from typing import Any

import pytest

from app.health import Probe
from tests.service.hostile.echoes import plain_text_only
from tests.support.specs import http, postgres, redis
from tests.support.tcp_server import tcp_server


PROBES: dict[str, Callable[[int], AbstractAsyncContextManager[Probe]]] = {
    "postgres": lambda port: postgres(
        f"postgresql://user@127.0.0.1:{port}/db?sslmode=require",
        None,
        require="query",
        renew_after=86400,
    ),
    "redis": lambda port: redis(
        f"rediss://127.0.0.1:{port}/0", None, require="query", renew_after=86400
    ),
    "http": lambda port: http(f"https://127.0.0.1:{port}/", dict, expect=200),
}


async def ends_within(iterations: int, probe: Probe) -> bool:
    """Run an attempt for a number of loop iterations; return whether it ended by itself.

    Each iteration is long enough for the server to answer.
    """
    attempt = asyncio.create_task(probe())
    for _ in range(iterations):
        time.sleep(0.001)  # noqa: ASYNC251 - a late event loop provokes the error
        await asyncio.sleep(0)
    ended = attempt.done()
    attempt.cancel()
    await asyncio.wait({attempt})
    return ended


@pytest.mark.slow
@pytest.mark.parametrize(
    "serve", [plain_text_only, lambda _: None], ids=["clear text", "hanging up"]
)
@pytest.mark.parametrize("kind", PROBES)
async def test_a_cancelled_attempt_leaves_no_unhandled_exception(
    kind: str, serve: Callable[[StreamRequestHandler], None]
) -> None:
    """Asyncio logs an exception in a future that the driver no longer awaits."""
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    with tcp_server(serve) as port:
        async with PROBES[kind](port) as probe:
            iterations = 0
            while not await ends_within(iterations, probe):
                iterations += 1
    await asyncio.sleep(0)
    gc.collect()
    assert not unhandled
