"""Ways to control a server that belongs to one test."""

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

from tests.support.devservers import Postgres, Valkey
from tests.support.devservers.servers import DevServer


# Options that delay loading by 20 ms for each key; the server answers commands meanwhile.
LOAD_SLOWLY = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")


def tree(server: DevServer) -> list[psutil.Process]:
    """Return a server's processes, the parent first: once stopped, it starts no child."""
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


def signal_all(server: DevServer, number: signal.Signals) -> list[psutil.Process]:
    """Send a signal to every process of a server, and return the processes."""
    processes = tree(server)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    return processes


def freeze(server: DevServer) -> None:
    """Stop all processes with SIGSTOP, and wait until they have stopped."""
    for process in signal_all(server, signal.SIGSTOP):
        with contextlib.suppress(psutil.NoSuchProcess):
            # A process that was ending stays a zombie, because its frozen parent can't reap it.
            while process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
                time.sleep(0.001)


def thaw(server: DevServer) -> None:
    """Resume a frozen server."""
    signal_all(server, signal.SIGCONT)


def kill(server: DevServer) -> None:
    """Kill a server with SIGKILL, as the kernel does when memory is short, and wait for its end."""
    psutil.wait_procs(signal_all(server, signal.SIGKILL), timeout=5)


@contextlib.contextmanager
def frozen(*servers: DevServer) -> Iterator[None]:
    """Freeze servers until the block ends."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(thaw, server)
            freeze(server)
        yield


@contextlib.contextmanager
def killed(*servers: DevServer) -> Iterator[None]:
    """Kill servers, and restart them when the block ends."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.start)
            kill(server)
        yield


@contextlib.contextmanager
def started_with(server: DevServer, *arguments: str) -> Iterator[None]:
    """Restart a server with further arguments, and without them when the block ends."""
    before = server.arguments
    server.arguments = (*before, *arguments)
    server.start()
    try:
        yield
    finally:
        server.arguments = before
        server.start()


async def connect(server: DevServer, **options: Any) -> Any:
    """Open a session of the superuser. Options of asyncpg replace parts of the server's URL."""
    password = server.password_file.read_text()
    return await asyncpg.connect(server.url, password=password, ssl=False, **options)


def sql(server: Postgres, *statements: str, database: str = "postgres") -> list[list[Any]]:
    """Run statements as the superuser, each in its own transaction, and return their rows."""

    async def run() -> list[list[Any]]:
        connection = await connect(server, database=database)
        try:
            return [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()

    # Use another thread, because an event loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


@contextlib.contextmanager
def admin(server: Valkey) -> Iterator[Any]:
    """Connect an administrative client of redis-py to a Valkey."""
    password = server.password_file.read_text()
    # Send the user name too: a server without a password refuses a password that comes alone.
    with Redis(
        port=server.port, username="default", password=password, decode_responses=True
    ) as client:
        yield client


def command(server: Valkey, *words: str) -> Any:
    """Send a command to a Valkey, and return its result."""
    with admin(server) as client:
        return client.execute_command(*words)


def sessions(postgres: Postgres, valkey: Valkey) -> tuple[int, int]:
    """Return the number of sessions on both servers, except the one that counts them."""
    count = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE backend_type = $$client backend$$ AND pid <> pg_backend_pid()"
    )
    with admin(valkey) as client:
        known = len(client.client_list()) - 1
    return int(sql(postgres, count)[0][0][0]), known
