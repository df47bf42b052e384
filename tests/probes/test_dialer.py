import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.checks.network import MAX_CALLS, Dialer, explain_network
from app.health import Reason
from tests.probes.attempt import eventually


class Resolver:
    """Stands for the machine's resolver: answers, fails, or is silent until told otherwise."""

    def __init__(self) -> None:
        self.lookups = 0
        self.answering = threading.Event()
        self.failing = False
        self._answer = socket.getaddrinfo

    def __call__(self, host: str, port: int, *, type: int, flags: int = 0) -> Any:  # noqa: A002 - getaddrinfo's own word
        if flags:
            return self._answer(host, port, type=type, flags=flags)
        self.lookups += 1
        if self.failing:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        self.answering.wait(10)
        return self._answer("127.0.0.1", port, type=type)


@pytest.fixture(name="resolver")
def _resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.answering.set()


@pytest.fixture(name="listener")
def _listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def port_of(listener: socket.socket) -> int:
    """The port that a listener is bound to."""
    port: int = listener.getsockname()[1]
    return port


async def miss(dialer: Dialer, seconds: float = 0.05) -> None:
    """Dial in vain, as an attempt does whose deadline passes."""
    dialing = asyncio.create_task(dialer.dial())
    await asyncio.wait({dialing}, timeout=seconds)
    assert not dialing.done()
    dialing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dialing


async def test_a_name_is_resolved_and_connected_to(listener: socket.socket) -> None:
    """Of several addresses the first that answers is taken: here nobody listens on ::1."""
    with await Dialer("localhost", port_of(listener)).dial() as connected:
        assert connected.getpeername() == listener.getsockname()


async def test_a_closed_port_is_refused(listener: socket.socket) -> None:
    """The error is the operating system's own."""
    port = port_of(listener)
    listener.close()
    dialer = Dialer("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError) as caught:
        await dialer.dial()
    assert explain_network(caught.value, dialer) is Reason.REFUSED


async def test_a_unix_socket_is_reached_by_its_path(tmp_path: Path) -> None:
    """Its absence means that the server does not run."""
    path = str(tmp_path / "server.sock")
    dialer = Dialer(path)
    with pytest.raises(FileNotFoundError) as caught:
        await dialer.dial()
    assert explain_network(caught.value, dialer) is Reason.REFUSED
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        (await dialer.dial()).close()


async def test_a_silent_resolver_is_told_as_dns(resolver: Resolver) -> None:
    """What the attempt waits for when its deadline passes is what failed."""
    dialer = Dialer("db.test", 1)
    dialing = asyncio.create_task(dialer.dial())
    await asyncio.sleep(0)
    assert explain_network(TimeoutError(), dialer) is Reason.DNS
    await eventually(lambda: resolver.lookups == 1)
    dialing.cancel()


async def test_an_abandoned_lookup_does_not_hold_up_the_next(
    resolver: Resolver, listener: socket.socket
) -> None:
    """The first look-up is silent for ever; the second one answers."""
    dialer = Dialer("db.test", port_of(listener))
    await miss(dialer)
    resolver.failing = True
    with pytest.raises(socket.gaierror) as caught:
        await dialer.dial()
    assert explain_network(caught.value, dialer) is Reason.DNS
    resolver.failing = False
    silent, resolver.answering = resolver.answering, threading.Event()
    resolver.answering.set()
    (await dialer.dial()).close()
    silent.set()


async def test_what_an_abandoned_lookup_hears_late_is_used(
    resolver: Resolver, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no further look-up is begun, the earlier ones still bring recovery."""
    monkeypatch.setattr("app.checks.network.PACE", 0)
    dialer = Dialer("db.test", port_of(listener))
    for _ in range(MAX_CALLS + 2):
        await miss(dialer, 0.005)
    await eventually(lambda: resolver.lookups == MAX_CALLS)
    dialing = asyncio.create_task(dialer.dial())
    resolver.answering.set()
    (await dialing).close()
    assert resolver.lookups == MAX_CALLS


async def test_lookups_end_with_their_threads(resolver: Resolver, listener: socket.socket) -> None:
    """Nothing is left once the resolver has answered."""
    dialer = Dialer("db.test", port_of(listener))
    before = set(threading.enumerate())
    await miss(dialer)
    (thread,) = set(threading.enumerate()) - before
    resolver.answering.set()
    (await dialer.dial()).close()
    thread.join(5)
    assert not thread.is_alive()


def test_a_lookup_that_outlives_the_loop_harms_nobody(resolver: Resolver) -> None:
    """The process may end while a look-up is silent; it is told to nobody."""
    asyncio.run(miss(Dialer("db.test", 1)))
    resolver.answering.set()
    for thread in threading.enumerate():
        if thread.name == "resolve db.test":
            thread.join(5)
            assert not thread.is_alive()


async def test_a_server_that_does_not_accept_is_a_connect_timeout() -> None:
    """With its backlog full a listener answers no SYN: the connection is not there yet."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        dialer = Dialer("127.0.0.1", port_of(listener))
        dialing = asyncio.create_task(dialer.dial())
        await asyncio.wait({dialing}, timeout=0.1)
        assert explain_network(TimeoutError(), dialer) is Reason.CONNECT_TIMEOUT
        dialing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dialing


async def test_a_lookup_that_could_not_begin_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """Once threads are to be had again, names are resolved again."""
    dialer = Dialer("localhost", port_of(listener))

    def refuse(_: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        for _ in range(MAX_CALLS + 1):
            with pytest.raises(RuntimeError, match="new thread"):
                await dialer.dial()
    async with asyncio.timeout(2):
        (await dialer.dial()).close()


async def test_of_several_addresses_the_first_that_works_is_taken(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """Where none does, the error is that of the one which the resolver prefers."""
    works = (socket.AF_INET, listener.getsockname())
    nobody, nowhere = (socket.AF_INET, ("127.0.0.1", 1)), (socket.AF_INET, ("255.255.255.255", 1))

    def resolve(addresses: list[Any]) -> Dialer:
        answer = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
        return Dialer("db.test", 1)

    (await resolve([nobody, works]).dial()).close()
    with pytest.raises(ConnectionRefusedError):
        await resolve([nobody, nowhere]).dial()


async def test_a_name_that_can_not_be_one_is_told_as_dns() -> None:
    """It holds an empty label, or one that is too long."""
    for name in ("db..internal", "x" * 64 + ".internal"):
        dialer = Dialer(name, 1)
        with pytest.raises((UnicodeError, socket.gaierror)) as caught:
            await dialer.dial()
        assert explain_network(caught.value, dialer) is Reason.DNS


async def test_a_unix_socket_without_room_is_waited_for(tmp_path: Path) -> None:
    """A frozen server accepts nobody, which a connection that is refused at once does not show."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        filler = stack.enter_context(socket.socket(socket.AF_UNIX))
        filler.connect(path)
        dialer = Dialer(path)
        dialing = asyncio.create_task(dialer.dial())
        await asyncio.wait({dialing}, timeout=0.1)
        assert not dialing.done()
        assert explain_network(TimeoutError(), dialer) is Reason.CONNECT_TIMEOUT
        listener.accept()[0].close()
        stack.enter_context(await dialing)
