"""The kernel ends a kept connection whose server has vanished without a word."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.checks.connection import BoundedConnection
from app.checks.errors import UnansweredError
from app.checks.network import Dialer
from tests.support.devservers import Postgres, Valkey
from tests.support.specs import postgres as open_postgres
from tests.support.specs import redis as open_redis


def connections(port: int) -> Iterator[socket.socket]:
    """Yield this process's connections to a port of a server."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.is_socket():
                with socket.socket(fileno=os.dup(int(entry.name))) as one:
                    if one.getpeername()[1:2] == (port,):
                        yield one


def is_kept_alive(port: int) -> bool:
    """Return whether each connection to a port ends 15 s after its server's last response."""
    found = [
        (
            one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        )
        for one in connections(port)
    ]
    return set(found) == {(1, 15_000)}


async def test_sessions_are_kept_alive(postgres: Postgres, valkey: Valkey) -> None:
    """They last for minutes."""
    terms: dict[str, Any] = {"require": "query", "renew_after": 86400}
    async with (
        open_postgres(postgres.url, postgres.password_file.read_text, **terms) as one,
        open_redis(valkey.url, valkey.password_file.read_text, **terms) as other,
    ):
        await one()
        await other()
        assert is_kept_alive(port_of(postgres.url))
        assert is_kept_alive(port_of(valkey.url))


async def test_a_connection_that_has_ended_is_none_to_keep_alive() -> None:
    """Its socket is closed, but the end of the connection is the reason, not the socket."""
    async with await asyncio.start_server(
        lambda _, writer: writer.transport.abort(), "127.0.0.1"
    ) as server:
        connection = await BoundedConnection.open(Dialer(*server.sockets[0].getsockname()))
        with pytest.raises((UnansweredError, ConnectionResetError)):
            await connection.wait_closed()
        connection.enable_keepalive()
        with pytest.raises((UnansweredError, ConnectionResetError)):
            await connection.read(1)


def port_of(url: str) -> int:
    """Return the port in a URL."""
    return urlsplit(url).port or 0
