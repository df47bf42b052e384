"""Blocking calls that hang, such as reading a secret from a hung network share."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from app.checks.network import BURST_CALLS, MAX_CALLS, BlockingCall
from app.health import Reason
from tests.support.hanging_file import hanging
from tests.support.specs import http, postgres, redis
from tests.unit.checks.attempt import eventually, failure


OpenProbe = Callable[[Callable[[], str]], AbstractAsyncContextManager[Any]]

CLOSED_PORT = "127.0.0.1:1"
OPTIONS: Any = {"require": "query", "renew_after": 15}
PROBES: dict[str, OpenProbe] = {
    "postgres": lambda read: postgres(f"postgresql://user@{CLOSED_PORT}/db", read, **OPTIONS),
    "redis": lambda read: redis(f"redis://{CLOSED_PORT}", read, **OPTIONS),
    "http": lambda read: http(f"http://{CLOSED_PORT}", lambda: {"x-key": read()}, expect=200),
}


async def test_short_intervals_leave_some_calls_for_the_recovery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hanging calls, which end only later, do not use up all that are allowed."""
    monkeypatch.setattr("app.checks.network.START_INTERVAL", 60)
    hanging, calls = threading.Event(), list[int]()

    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= BURST_CALLS:
            hanging.wait()
        return "answer"

    blocking = BlockingCall(call, "call")
    for _ in range(2 * MAX_CALLS):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await blocking()
    assert len(calls) == BURST_CALLS
    monkeypatch.setattr("app.checks.network.START_INTERVAL", 0)
    async with asyncio.timeout(5):
        assert await blocking() == "answer"
    hanging.set()


async def test_hanging_calls_of_one_kind_leave_threads_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The names of many checks may hang at once, and a container has a limit of threads."""
    monkeypatch.setattr("app.checks.network.MAX_THREADS", threading.active_count() + 5)
    hanging = threading.Event()
    kinds = [BlockingCall(hanging.wait, "hanging call") for _ in range(4)]
    for blocking in kinds * BURST_CALLS:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await blocking()
    # A few of each kind, and more of the first until the limit was reached.
    started = [one.name for one in threading.enumerate()].count("hanging call")
    assert 2 * len(kinds) <= started <= 5 + 2 * len(kinds)
    hanging.set()


@pytest.mark.parametrize("name", PROBES)
async def test_a_secret_that_can_not_be_read_in_time_is_a_timeout(
    name: str, tmp_path: Path
) -> None:
    """It does not matter what failed before. A readable secret is used at once."""
    file = tmp_path / "secret"
    file.write_text("word")
    others = set(threading.enumerate())  # an earlier test may have left some
    async with PROBES[name](file.read_text) as probe:
        for _ in range(2):
            with hanging(file):
                assert await failure(probe) is Reason.TIMEOUT
            assert await failure(probe) is Reason.REFUSED
            # Two calls have read the secret and one was used. The next attempt would use the other.
            await eventually(lambda: others.issuperset(threading.enumerate()))
            for _ in range(2):  # the loop takes the result, then drops the call
                await asyncio.sleep(0)
