"""What a test does to a server of its own."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import psutil
from redis import Redis

from app.embedded import Postgres, Valkey
from app.embedded.server import Server


# Has a Valkey take 20 ms for each key that it loads, and answer meanwhile.
LOAD_SLOWLY = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")


def tree(server: Server) -> list[psutil.Process]:
    """Its processes, the first first, so that a stopped parent makes no new child."""
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


def signal_all(server: Server, number: signal.Signals) -> None:
    """Send a signal to every process of a server."""
    for process in tree(server):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop a server so that it neither answers nor ends."""
    signal_all(server, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(server, signal.SIGCONT)


@contextlib.contextmanager
def killed(server: Server) -> Iterator[None]:
    """End a server as the kernel does when memory is short, and start it again afterwards."""
    doomed = tree(server)
    signal_all(server, signal.SIGKILL)
    psutil.wait_procs(doomed, timeout=5)
    try:
        yield
    finally:
        server.start()


def sql(server: Postgres, *statements: str, database: str = "postgres") -> list[list[Any]]:
    """Run statements as the superuser, each in a transaction of its own; tell their rows."""

    async def run() -> list[list[Any]]:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=server.port,
            user="vitals",
            password=server.password_file.read_text(),
            database=database,
            ssl=False,
        )
        try:
            return [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()

    # On a thread of its own: the test that calls may have a loop running.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


@contextlib.contextmanager
def admin(server: Valkey) -> Iterator[Any]:
    """Give a client of redis-py's to a Valkey."""
    password = server.password_file.read_text()
    with Redis(port=server.port, password=password, decode_responses=True) as client:
        yield client


def command(server: Valkey, *words: str) -> Any:
    """Send a command to a Valkey."""
    with admin(server) as client:
        return client.execute_command(*words)
