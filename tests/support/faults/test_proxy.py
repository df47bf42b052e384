import asyncio
import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.support.faults.fault import (
    Blackhole,
    Corrupt,
    Cut,
    Fault,
    Refuse,
    Reset,
    Silent,
    Slow,
    Stall,
)
from tests.support.faults.peer import DEADLINE, connect, expect, send
from tests.support.faults.proxy import HOST, Proxy, proxy_in_thread
from tests.support.service import wait_for


EVERY_FAULT = [
    Fault(),
    Refuse(),
    Silent(),
    Blackhole(),
    Stall(1),
    Reset(1),
    Cut(1),
    Corrupt(1),
    Slow(1, 60),
]
SYN_SENT = b"\2"  # the first byte of TCP_INFO


async def test_a_refusing_proxy_recovers_on_its_port(proxy: Proxy) -> None:
    """No other process can bind the port meanwhile."""
    proxy.break_with(Refuse())
    with pytest.raises(ConnectionRefusedError):
        connect(proxy.port)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, proxy.port))
    proxy.heal()
    with connect(proxy.port) as client:
        send(client, b"?")
        await expect(client, b"?")


async def test_a_blackholed_syn_is_answered_only_after_the_repair(proxy: Proxy) -> None:
    """The client's kernel retransmits it after a second."""
    proxy.break_with(Blackhole())
    with socket.socket() as client:
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.connect((HOST, proxy.port))
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == SYN_SENT
        proxy.heal()
        await asyncio.to_thread(wait_for, lambda: proxy.connections == 1)
        send(client, b"?")
        await expect(client, b"?")


async def test_an_unreachable_server_resets_the_client(listener: socket.socket) -> None:
    """The proxy accepts the connection, but can't connect to the server."""
    address = listener.getsockname()
    listener.close()
    async with Proxy(*address) as proxy:
        with connect(proxy.port) as client:
            await expect(client, b"", ConnectionResetError)


async def test_connections_are_counted(proxy: Proxy) -> None:
    """Open ones, and all that were accepted."""
    with connect(proxy.port), connect(proxy.port):
        await asyncio.to_thread(wait_for, lambda: (proxy.connections, proxy.accepted) == (2, 2))
    await asyncio.to_thread(wait_for, lambda: (proxy.connections, proxy.accepted) == (0, 2))


def resource_usage() -> tuple[int, int]:
    """Return the numbers of open descriptors and running tasks."""
    return len(list(Path("/dev/fd").iterdir())), len(asyncio.all_tasks())


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=str)
async def test_closing_the_proxy_leaks_nothing(listener: socket.socket, fault: Fault) -> None:
    """It closes at once in every state, even with unsent data, and leaves no task and no socket."""
    before = resource_usage()
    with contextlib.ExitStack() as connections:
        async with Proxy(*listener.getsockname()) as proxy:
            client = connections.enter_context(connect(proxy.port))
            server = connections.enter_context((await asyncio.to_thread(listener.accept))[0])
            proxy.break_with(fault)
            for _ in range(300):
                send(server, bytes(2**16))
                send(client, bytes(2**16))
                await asyncio.sleep(0)
            closing = time.monotonic()
        assert time.monotonic() - closing < 0.5
    assert resource_usage() == before


async def test_closing_the_proxy_while_it_accepts_leaks_nothing(listener: socket.socket) -> None:
    """It also closes a connection whose relay has not started."""
    before = resource_usage()
    with socket.socket() as client:
        async with asyncio.timeout(DEADLINE), Proxy(*listener.getsockname()) as proxy:
            client.connect((HOST, proxy.port))
            while not proxy.accepted:
                await asyncio.sleep(0)
    assert resource_usage() == before


def test_a_blocking_test_can_control_a_proxy_in_a_thread(listener: socket.socket) -> None:
    """The fault is active when `break_with` returns; the thread ends with the block."""
    threads = set(threading.enumerate())
    with (
        proxy_in_thread(*listener.getsockname()) as proxy,
        socket.create_connection((HOST, proxy.port), 3) as client,
    ):
        proxy.break_with(Refuse())
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, proxy.port), 3)
        proxy.heal()
        socket.create_connection((HOST, proxy.port), 3).close()
    assert threads.issuperset(threading.enumerate())
