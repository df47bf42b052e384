"""Attempts that are cut short in each turn of the event loop: nothing complains of it later."""

import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from app.checks.http import http
from app.checks.postgres import postgres
from app.checks.redis import redis
from app.health import Probe
from tests.hostile.echoes import Blunt, Handler, echoing


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


async def ends_within(turns: int, probe: Probe) -> bool:
    """Attempt for so many turns, each long enough for a server to answer."""
    attempt = asyncio.create_task(probe())
    for _ in range(turns):
        time.sleep(0.001)  # noqa: ASYNC251 - the event loop is late, which is what lets it happen
        await asyncio.sleep(0)
    ended = attempt.done()
    attempt.cancel()
    await asyncio.wait({attempt})
    return ended


@pytest.mark.parametrize("server", [Blunt, Handler], ids=["clear text", "hanging up"])
@pytest.mark.parametrize("kind", PROBES)
async def test_nothing_complains_of_it(kind: str, server: type[Handler]) -> None:
    """What a driver would have waited for next fails unheard: asyncio writes that to the log."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    with echoing(server) as port:
        async with PROBES[kind](port) as probe:
            turns = 0
            while not await ends_within(turns, probe):
                turns += 1
    await asyncio.sleep(0)
    gc.collect()
    assert not complaints
