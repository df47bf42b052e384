"""The service with a fault of its own, which the judges have to see."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest import mock

from app.checks.postgres import PostgresSession
from app.checks.redis import RedisSession
from app.health import Result, Status
from app.health.monitor import CheckRunner
from tests.matrix.subject import main


# Seconds for which a check keeps what is no longer so: a turn later than any bound, and well
# before a trial no longer waits for it, which it would tell as well.
LATE = 2

# Bytes that a failure leaves behind.
HEAP = 1 << 20

# Where a service learns a result is where it can be made to err.
Learn = Callable[[CheckRunner, Result], None]
LEARN: Learn = CheckRunner._record  # noqa: SLF001

LEFT: list[object] = []


def keeping(status: Status) -> Learn:
    """Have every check keep a status for a while after it is no longer so."""
    since: dict[CheckRunner, float] = {}

    def learn(watch: CheckRunner, result: Result) -> None:
        turns = (result.reason is None) is not (watch.observation.status is Status.PASS)
        if watch.observation.status is not status or not turns:
            since.pop(watch, None)
        elif time.monotonic() < since.setdefault(watch, time.monotonic()) + LATE:
            result = replace(result, reason=watch.observation.reason, cause="")
        LEARN(watch, result)

    return learn


def leaking(watch: CheckRunner, result: Result) -> None:
    """Have every failure leave a task, a thread and some memory behind."""
    if result.reason:
        LEFT.append(asyncio.create_task(asyncio.sleep(3600)))
        LEFT.append(os.urandom(HEAP))
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    LEARN(watch, result)


async def staying(session: object) -> None:
    """Have a session that is to be closed stay open."""
    LEFT.append(session)


# What is put in place of what.
MUTANTS: dict[str, list[tuple[type, str, Any]]] = {
    "honest": [],
    "keeps green": [(CheckRunner, "_record", keeping(Status.PASS))],
    "keeps red": [(CheckRunner, "_record", keeping(Status.FAIL))],
    "leaks": [
        (CheckRunner, "_record", leaking),
        (PostgresSession, "close", staying),
        (RedisSession, "close", staying),
    ],
}

if __name__ == "__main__":
    with ExitStack() as stack:
        for changed in MUTANTS[sys.argv[1]]:
            stack.enter_context(mock.patch.object(*changed))
        main()
