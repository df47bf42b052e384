import socket
from collections.abc import AsyncIterator

import pytest

from tests.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Slow, Stall
from tests.faults.peer import Peer, until
from tests.faults.proxy import Proxy


ASKED = b"0123456789"
FLIPPED = bytes(byte ^ 0xFF for byte in ASKED)

# A fault, what a client then hears when it asks, and how that ends.
ANSWERS: list[tuple[Fault, bytes, type[Exception]]] = [
    (Fault(), ASKED, TimeoutError),
    (Silent(), b"", TimeoutError),
    (Stall(4), ASKED[:4], TimeoutError),
    (Reset(), b"", ConnectionResetError),
    (Reset(4), ASKED[:4], ConnectionResetError),
    (Cut(), b"", EOFError),
    (Cut(4), ASKED[:4], EOFError),
    (Corrupt(4), ASKED[:4] + FLIPPED[4:], TimeoutError),
    (Slow(3, 0.01), ASKED, TimeoutError),
]
OPEN_ONLY: list[tuple[Fault, bytes, type[Exception]]] = [
    (Refuse(), b"", ConnectionResetError),
    (Blackhole(), b"", TimeoutError),
]


Ends = tuple[Proxy, Peer, Peer]


@pytest.fixture
async def ends(listener: socket.socket) -> AsyncIterator[Ends]:
    """A proxy, and the client and the server that it joins."""
    async with (
        Proxy(*listener.getsockname()) as proxy,
        Peer.to(proxy.port) as client,
        Peer.of(listener) as server,
    ):
        client.says(ASKED)
        await server.hears(ASKED)
        yield proxy, client, server


@pytest.mark.parametrize(("fault", "answer", "end"), ANSWERS + OPEN_ONLY, ids=str)
async def test_an_open_connection_meets_the_fault(
    proxy: Proxy, fault: Fault, answer: bytes, end: type[Exception]
) -> None:
    """What passed before the switch doesn't count."""
    async with Peer.to(proxy.port) as client:
        client.says(ASKED)
        await client.hears(ASKED)
        proxy.break_with(fault)
        client.says(ASKED)
        await client.hears(answer, end)


@pytest.mark.parametrize(("fault", "answer", "end"), ANSWERS, ids=str)
async def test_a_new_connection_meets_the_fault(
    proxy: Proxy, fault: Fault, answer: bytes, end: type[Exception]
) -> None:
    """It is made, and then the fault takes its course."""
    proxy.break_with(fault)
    async with Peer.to(proxy.port) as client:
        client.says(ASKED)
        await client.hears(answer, end)


@pytest.mark.parametrize(
    ("fault", "before"), [(Silent(), 0), (Blackhole(), 0), (Stall(4), 4)], ids=str
)
async def test_what_is_held_back_comes_after_the_repair(
    proxy: Proxy, fault: Fault, before: int
) -> None:
    """The connection goes on where it stood still."""
    async with Peer.to(proxy.port) as client:
        client.says(ASKED)
        await client.hears(ASKED)
        proxy.break_with(fault)
        client.says(ASKED)
        await client.hears(ASKED[:before])
        proxy.heal()
        await client.hears(ASKED[before:])


async def test_a_connection_made_in_silence_is_served_after_the_repair(proxy: Proxy) -> None:
    """It was accepted, but nothing reached the server until then."""
    proxy.break_with(Silent())
    async with Peer.to(proxy.port) as client:
        client.says(ASKED)
        await client.hears(b"")
        proxy.heal()
        await client.hears(ASKED)


async def test_nothing_passes_either_way_in_silence(ends: Ends) -> None:
    """No question, nothing that the server says unasked, and not its end."""
    proxy, client, server = ends
    proxy.break_with(Silent())
    client.says(ASKED)
    server.says(ASKED)
    await server.hears(b"")
    await client.hears(b"")
    proxy.heal()
    await server.hears(ASKED)
    await client.hears(ASKED)
    proxy.break_with(Silent())
    server.leaves()
    await client.hears(b"")
    proxy.heal()
    await client.hears(b"", EOFError)


async def test_what_was_held_back_is_lost_with_the_connection(ends: Ends) -> None:
    """A process that ends while it is frozen has not read its socket."""
    proxy, client, server = ends
    proxy.break_with(Silent())
    client.says(ASKED)
    await server.hears(b"")
    proxy.break_with(Refuse())
    await server.hears(b"", EOFError)


async def test_a_cut_reaches_the_server_too(ends: Ends) -> None:
    """As when a balancer between them ends the connection."""
    proxy, client, server = ends
    proxy.break_with(Cut())
    await server.hears(b"", EOFError)
    await client.hears(b"", EOFError)


@pytest.mark.parametrize("fault", [Fault(), Silent(), Stall(4), Cut(4), Slow(1, 60)], ids=str)
async def test_a_client_that_leaves_is_let_go(proxy: Proxy, fault: Fault) -> None:
    """Nothing that is held back for it holds the connection."""
    proxy.break_with(fault)
    async with Peer.to(proxy.port) as client:
        client.says(ASKED)
        await until(lambda: proxy.connections == 1)
    await until(lambda: proxy.connections == 0)
