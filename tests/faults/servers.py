"""What a test does to a server of its own."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import psutil
from redis import Redis

from app.devservers import Postgres, Valkey
from app.devservers.servers import Server


# Has a Valkey take 20 ms for each key that it loads, and answer meanwhile.
LOAD_SLOWLY = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")


def tree(server: Server) -> list[psutil.Process]:
    """Its processes, the first first, so that a stopped parent makes no new child."""
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


def signal_all(server: Server, number: signal.Signals) -> list[psutil.Process]:
    """Send a signal to every process of a server; tell which they were."""
    processes = tree(server)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    return processes


def freeze(server: Server) -> None:
    """Stop a server so that it neither answers nor ends, and wait until it has stopped."""
    for process in signal_all(server, signal.SIGSTOP):
        with contextlib.suppress(psutil.NoSuchProcess):
            # One that was ending stays a zombie: the parent that would reap it is frozen.
            while process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
                time.sleep(0.001)


def thaw(server: Server) -> None:
    """Have a frozen server go on."""
    signal_all(server, signal.SIGCONT)


def kill(server: Server) -> None:
    """End a server as the kernel does when memory is short, and wait until it is gone."""
    psutil.wait_procs(signal_all(server, signal.SIGKILL), timeout=5)


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Freeze a server while the block runs."""
    freeze(server)
    try:
        yield
    finally:
        thaw(server)


@contextlib.contextmanager
def killed(server: Server) -> Iterator[None]:
    """Kill a server, and start it again after the block."""
    kill(server)
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
    # By name, as a server that wants no password refuses one that comes alone.
    with Redis(
        port=server.port, username="default", password=password, decode_responses=True
    ) as client:
        yield client


def command(server: Valkey, *words: str) -> Any:
    """Send a command to a Valkey."""
    with admin(server) as client:
        return client.execute_command(*words)


def sessions(postgres: Postgres, valkey: Valkey) -> tuple[int, int]:
    """How many sessions the servers hold beside the one that asks, whoever they say they are."""
    count = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = $$client backend$$ AND pid <> pg_backend_pid()"
    )
    with admin(valkey) as client:
        known = len(client.client_list()) - 1
    return int(sql(postgres, count)[0][0][0]), known
