import asyncio
import socket
from collections.abc import AsyncIterator

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
from tests.support.faults.peer import connect, expect, send
from tests.support.faults.proxy import Proxy
from tests.support.service import wait_for


REQUEST = b"0123456789"
FLIPPED = bytes(byte ^ 0xFF for byte in REQUEST)

# A fault, what a client then receives for a request, and how the answer ends.
ANSWERS: list[tuple[Fault, bytes, type[Exception]]] = [
    (Fault(), REQUEST, TimeoutError),
    (Silent(), b"", TimeoutError),
    (Stall(4), REQUEST[:4], TimeoutError),
    (Reset(), b"", ConnectionResetError),
    (Reset(4), REQUEST[:4], ConnectionResetError),
    (Cut(), b"", EOFError),
    (Cut(4), REQUEST[:4], EOFError),
    (Corrupt(4), REQUEST[:4] + FLIPPED[4:], TimeoutError),
    (Slow(3, 0.01), REQUEST, TimeoutError),
]
OPEN_ONLY: list[tuple[Fault, bytes, type[Exception]]] = [
    (Refuse(), b"", ConnectionResetError),
    (Blackhole(), b"", TimeoutError),
]


Ends = tuple[Proxy, socket.socket, socket.socket]


@pytest.fixture
async def ends(listener: socket.socket) -> AsyncIterator[Ends]:
    """A proxy, and the client and the server that it connects."""
    async with Proxy(*listener.getsockname()) as proxy:
        with connect(proxy.port) as client:
            server, _ = await asyncio.to_thread(listener.accept)
            with server:
                send(client, REQUEST)
                await expect(server, REQUEST)
                yield proxy, client, server


@pytest.mark.parametrize(("fault", "answer", "end"), ANSWERS + OPEN_ONLY, ids=str)
async def test_a_fault_affects_an_open_connection(
    proxy: Proxy, fault: Fault, answer: bytes, end: type[Exception]
) -> None:
    """Bytes that passed before the switch don't count."""
    with connect(proxy.port) as client:
        send(client, REQUEST)
        await expect(client, REQUEST)
        proxy.break_with(fault)
        send(client, REQUEST)
        await expect(client, answer, end)


@pytest.mark.parametrize(("fault", "answer", "end"), ANSWERS, ids=str)
async def test_a_fault_affects_a_new_connection(
    proxy: Proxy, fault: Fault, answer: bytes, end: type[Exception]
) -> None:
    """The proxy accepts the connection, then applies the fault."""
    proxy.break_with(fault)
    with connect(proxy.port) as client:
        send(client, REQUEST)
        await expect(client, answer, end)


@pytest.mark.parametrize(
    ("fault", "before"), [(Silent(), 0), (Blackhole(), 0), (Stall(4), 4)], ids=str
)
async def test_data_held_back_arrives_after_the_repair(
    proxy: Proxy, fault: Fault, before: int
) -> None:
    """The connection continues where it stopped."""
    with connect(proxy.port) as client:
        send(client, REQUEST)
        await expect(client, REQUEST)
        proxy.break_with(fault)
        send(client, REQUEST)
        await expect(client, REQUEST[:before])
        proxy.heal()
        await expect(client, REQUEST[before:])


async def test_a_connection_to_a_silent_proxy_is_served_after_the_repair(proxy: Proxy) -> None:
    """The proxy accepted it, but sent nothing to the server until then."""
    proxy.break_with(Silent())
    with connect(proxy.port) as client:
        send(client, REQUEST)
        await expect(client, b"")
        proxy.heal()
        await expect(client, REQUEST)


async def test_a_silent_proxy_forwards_nothing_in_either_direction(ends: Ends) -> None:
    """No request, no data that the server sends unprompted, and no close."""
    proxy, client, server = ends
    proxy.break_with(Silent())
    send(client, REQUEST)
    send(server, REQUEST)
    await expect(server, b"")
    await expect(client, b"")
    proxy.heal()
    await expect(server, REQUEST)
    await expect(client, REQUEST)
    proxy.break_with(Silent())
    server.close()
    await expect(client, b"")
    proxy.heal()
    await expect(client, b"", EOFError)


async def test_data_held_back_is_lost_when_the_connection_ends(ends: Ends) -> None:
    """A frozen process that ends has not read its socket."""
    proxy, client, server = ends
    proxy.break_with(Silent())
    send(client, REQUEST)
    await expect(server, b"")
    proxy.break_with(Refuse())
    await expect(server, b"", EOFError)


async def test_a_cut_closes_the_connection_to_the_server_too(ends: Ends) -> None:
    """A load balancer that closes a connection closes both sides."""
    proxy, client, server = ends
    proxy.break_with(Cut())
    await expect(server, b"", EOFError)
    await expect(client, b"", EOFError)


@pytest.mark.parametrize("fault", [Fault(), Silent(), Stall(4), Cut(4), Slow(1, 60)], ids=str)
async def test_the_proxy_releases_a_client_that_disconnects(proxy: Proxy, fault: Fault) -> None:
    """Data that is held back does not keep the connection open."""
    proxy.break_with(fault)
    with connect(proxy.port) as client:
        send(client, REQUEST)
        await asyncio.to_thread(wait_for, lambda: proxy.connections == 1)
    await asyncio.to_thread(wait_for, lambda: proxy.connections == 0)
