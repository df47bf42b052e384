"""The service with leaks of each kind, which `make faults` and `make soak` must detect."""

import asyncio
import os
import socket
import threading
from unittest import mock

from app.checks.postgres_driver import PostgresSession
from app.checks.redis_server import RedisSession
from app.health import Result
from app.health.monitor import CheckRunner
from tests.chaos.subject import main


RECORD = CheckRunner._record  # noqa: SLF001

LEAKED: list[object] = []


def leak(runner: CheckRunner, result: Result) -> None:
    """Record a result, and leak a task, a thread, a socket and a megabyte for each failure."""
    if result.reason:
        LEAKED.append(socket.create_server(("127.0.0.1", 0)))
        LEAKED.append(asyncio.create_task(asyncio.sleep(3600)))
        LEAKED.append(os.urandom(1 << 20))
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    RECORD(runner, result)


async def skip_close(session: object) -> None:
    """Keep a session open that should be closed."""
    LEAKED.append(session)


if __name__ == "__main__":
    with (
        mock.patch.object(CheckRunner, "_record", leak),
        mock.patch.object(PostgresSession, "close", skip_close),
        mock.patch.object(RedisSession, "close", skip_close),
    ):
        main()
