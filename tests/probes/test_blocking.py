"""Secrets on a share that hangs."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from app.checks.http import http
from app.checks.network import MAX_CALLS, UNPACED, BlockingCall
from app.checks.postgres import postgres
from app.checks.redis import redis
from app.health import Reason
from tests.hanging_file import hanging
from tests.probes.attempt import eventually, failure


Opening = Callable[[Callable[[], str]], AbstractAsyncContextManager[Any]]

NOBODY = "127.0.0.1:1"
TERMS: Any = {"require": "query", "renew_after": 15}
PROBES: dict[str, Opening] = {
    "postgres": lambda read: postgres(f"postgresql://user@{NOBODY}/db", read, **TERMS),
    "redis": lambda read: redis(f"redis://{NOBODY}", read, **TERMS),
    "http": lambda read: http(f"http://{NOBODY}", lambda: {"x-key": read()}, expect=200),
}


async def test_short_intervals_leave_calls_for_when_it_works_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many attempts are made while earlier calls hang, which end ten seconds later."""
    monkeypatch.setattr("app.checks.network.PACE", 60)
    hanging, calls = threading.Event(), list[int]()

    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= UNPACED:
            hanging.wait()
        return "answer"

    blocking = BlockingCall(call, "call")
    for _ in range(2 * MAX_CALLS):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await blocking()
    assert len(calls) == UNPACED
    monkeypatch.setattr("app.checks.network.PACE", 0)
    async with asyncio.timeout(5):
        assert await blocking() == "answer"
    hanging.set()


async def test_hanging_calls_of_one_kind_leave_threads_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All names of many checks may hang at once, and a container has a limit of threads."""
    monkeypatch.setattr("app.checks.network.MAX_THREADS", threading.active_count() + 5)
    hanging = threading.Event()
    kinds = [BlockingCall(hanging.wait, "hanging call") for _ in range(4)]
    for blocking in kinds * UNPACED:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await blocking()
    # Of each kind a few, and of the first whatever there was room for.
    begun = [one.name for one in threading.enumerate()].count("hanging call")
    assert 2 * len(kinds) <= begun <= 5 + 2 * len(kinds)
    hanging.set()


@pytest.mark.parametrize("name", PROBES)
async def test_a_secret_that_can_not_be_read_in_time_is_a_missed_deadline(
    name: str, tmp_path: Path
) -> None:
    """Whatever failed before. Nothing else waits; what can be read again is used at once."""
    file = tmp_path / "secret"
    file.write_text("word")
    others = set(threading.enumerate())  # a test before this one may have left some that end now
    async with PROBES[name](file.read_text) as probe:
        for _ in range(2):
            with hanging(file):
                assert await failure(probe) is Reason.TIMEOUT
            assert await failure(probe) is Reason.REFUSED
            # What two have read, one has used; the other's would be used by the next attempt.
            await eventually(lambda: others.issuperset(threading.enumerate()))
            for _ in range(2):  # the loop takes over the result, then forgets the call
                await asyncio.sleep(0)
