"""The service with a deliberate defect, which `make faults` and `make soak` must detect."""

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest import mock

from app.checks.postgres_driver import PostgresSession
from app.checks.redis_server import RedisSession
from app.health import Result, Status
from app.health.monitor import CheckRunner
from tests.chaos.subject import main


# Seconds by which a transition is delayed: more than any limit, and little enough that a trial
# still waits for it, as it would report a transition that never comes, too.
DELAY = 2

# Bytes that each failure leaks.
LEAK = 1 << 20

# The method that records a result is where defects are injected.
Record = Callable[[CheckRunner, Result], None]
RECORD: Record = CheckRunner._record  # noqa: SLF001

LEAKED: list[object] = []


def delay_leaving(status: Status) -> Record:
    """Return a method that delays every transition away from *status*."""
    since: dict[CheckRunner, float] = {}

    def record(runner: CheckRunner, result: Result) -> None:
        changes = (result.reason is None) is not (runner.observation.status is Status.PASS)
        if runner.observation.status is not status or not changes:
            since.pop(runner, None)
        elif time.monotonic() < since.setdefault(runner, time.monotonic()) + DELAY:
            result = replace(result, reason=runner.observation.reason, cause="")
        RECORD(runner, result)

    return record


def leak(runner: CheckRunner, result: Result) -> None:
    """Record a result, and leak a task, a thread, a socket and memory for each failure."""
    if result.reason:
        LEAKED.append(socket.create_server(("127.0.0.1", 0)))
        LEAKED.append(asyncio.create_task(asyncio.sleep(3600)))
        LEAKED.append(os.urandom(LEAK))
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    RECORD(runner, result)


async def skip_close(session: object) -> None:
    """Keep a session open that should be closed."""
    LEAKED.append(session)


# For each defect, the attributes to replace.
DEFECTS: dict[str, list[tuple[type, str, Any]]] = {
    "none": [],
    "late failure": [(CheckRunner, "_record", delay_leaving(Status.PASS))],
    "late recovery": [(CheckRunner, "_record", delay_leaving(Status.FAIL))],
    "leaks": [
        (CheckRunner, "_record", leak),
        (PostgresSession, "close", skip_close),
        (RedisSession, "close", skip_close),
    ],
}

if __name__ == "__main__":
    with ExitStack() as stack:
        for patch in DEFECTS[sys.argv[1]]:
            stack.enter_context(mock.patch.object(*patch))
        main()
