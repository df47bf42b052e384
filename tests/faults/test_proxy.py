import asyncio
import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Slow, Stall
from tests.faults.peer import DEADLINE, Peer, until
from tests.faults.proxy import HOST, Proxy, proxy_in_thread


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


async def test_a_refusing_proxy_comes_back_on_its_port(proxy: Proxy) -> None:
    """Nobody else can take the port meanwhile."""
    proxy.break_with(Refuse())
    with pytest.raises(ConnectionRefusedError):
        await Peer.to(proxy.port).__aenter__()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, proxy.port))
    proxy.heal()
    async with Peer.to(proxy.port) as client:
        client.says(b"?")
        await client.hears(b"?")


async def test_a_syn_into_the_blackhole_is_answered_only_after_the_repair(proxy: Proxy) -> None:
    """The kernel sends it again a second later."""
    proxy.break_with(Blackhole())
    with socket.socket() as connection:
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.connect((HOST, proxy.port))
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == SYN_SENT
        proxy.heal()
        await until(lambda: proxy.connections == 1)
        client = Peer(connection)
        client.says(b"?")
        await client.hears(b"?")


async def test_a_server_that_is_gone_shows_as_a_reset(listener: socket.socket) -> None:
    """The proxy accepts, but has nobody to pass anything to."""
    address = listener.getsockname()
    listener.close()
    async with Proxy(*address) as proxy, Peer.to(proxy.port) as client:
        await client.hears(b"", ConnectionResetError)


async def test_connections_are_counted(proxy: Proxy) -> None:
    """Those open now, and those ever accepted."""
    async with Peer.to(proxy.port), Peer.to(proxy.port):
        await until(lambda: (proxy.connections, proxy.accepted) == (2, 2))
    await until(lambda: (proxy.connections, proxy.accepted) == (0, 2))


def held() -> tuple[int, int]:
    """Count the open descriptors and the running tasks."""
    return len(list(Path("/dev/fd").iterdir())), len(asyncio.all_tasks())


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=str)
async def test_leaving_leaves_nothing(listener: socket.socket, fault: Fault) -> None:
    """In whatever state it is left, with much still to send: no task, no socket, and at once."""
    before = held()
    async with contextlib.AsyncExitStack() as peers:
        async with Proxy(*listener.getsockname()) as proxy:
            client = await peers.enter_async_context(Peer.to(proxy.port))
            server = await peers.enter_async_context(Peer.of(listener))
            proxy.break_with(fault)
            for _ in range(300):
                server.says(bytes(2**16))
                client.says(bytes(2**16))
                await asyncio.sleep(0)
            leaving = time.monotonic()
        assert time.monotonic() - leaving < 0.5
    assert held() == before


async def test_leaving_while_accepting_leaves_nothing(listener: socket.socket) -> None:
    """A connection whose relay hasn't begun is closed too."""
    before = held()
    with socket.socket() as client:
        async with asyncio.timeout(DEADLINE), Proxy(*listener.getsockname()) as proxy:
            client.connect((HOST, proxy.port))
            while not proxy.accepted:
                await asyncio.sleep(0)
    assert held() == before


def test_a_proxy_in_a_thread_is_switched_from_a_test_that_blocks(listener: socket.socket) -> None:
    """The fault is in force when the switch returns; the thread ends with the block."""
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
