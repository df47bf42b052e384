import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.checks.connection import BoundedConnection
from app.checks.network import MAX_CALLS, Dialer, explain_network
from app.checks.race import START_DELAY
from app.health import Reason
from tests.unit.checks.attempt import eventually


class Resolver:
    """Replaces the system's resolver. It answers, fails, or hangs until *answering* is set."""

    def __init__(self) -> None:
        self.lookups = 0
        self.answering = threading.Event()
        self.failing = False
        self._answer = socket.getaddrinfo

    def __call__(self, host: str, port: int, *, type: int, flags: int = 0) -> Any:  # noqa: A002 - getaddrinfo's parameter
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


@pytest.fixture(name="silent")
def _silent() -> Iterator[socket.socket]:
    """Run a listener with a full backlog, which answers no SYN, like a host that drops packets."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener


def port_of(listener: socket.socket) -> int:
    """Return the port that a listener is bound to."""
    port: int = listener.getsockname()[1]
    return port


async def dial_until_timeout(dialer: Dialer, seconds: float = 0.05) -> None:
    """Dial until a deadline passes, as an attempt does, and cancel."""
    dialing = asyncio.create_task(BoundedConnection.open(dialer))
    await asyncio.wait({dialing}, timeout=seconds)
    assert not dialing.done()
    dialing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dialing


async def test_a_name_is_resolved_and_connected_to(listener: socket.socket) -> None:
    """The first address that accepts is used: here nothing listens on ::1."""
    connected = await BoundedConnection.open(Dialer("localhost", port_of(listener)))
    assert connected.address == listener.getsockname()
    connected.abort()


async def test_a_closed_port_is_refused(listener: socket.socket) -> None:
    """The error is that of the operating system."""
    port = port_of(listener)
    listener.close()
    dialer = Dialer("127.0.0.1", port)
    with pytest.raises(ConnectionRefusedError) as caught:
        await BoundedConnection.open(dialer)
    assert explain_network(caught.value, dialer) is Reason.REFUSED


async def test_a_unix_socket_is_reached_by_its_path(tmp_path: Path) -> None:
    """If the path does not exist, the server does not run."""
    path = str(tmp_path / "server.sock")
    dialer = Dialer(path)
    with pytest.raises(FileNotFoundError) as caught:
        await BoundedConnection.open(dialer)
    assert explain_network(caught.value, dialer) is Reason.REFUSED
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        (await BoundedConnection.open(dialer)).abort()


async def test_a_silent_resolver_is_dns(resolver: Resolver) -> None:
    """The reason is the stage in which the deadline passed."""
    dialer = Dialer("db.test", 1)
    dialing = asyncio.create_task(BoundedConnection.open(dialer))
    await asyncio.sleep(0)
    assert explain_network(TimeoutError(), dialer) is Reason.DNS
    await eventually(lambda: resolver.lookups == 1)
    dialing.cancel()


async def test_an_abandoned_lookup_does_not_hold_up_the_next(
    resolver: Resolver, listener: socket.socket
) -> None:
    """The first lookup hangs; the second one answers."""
    dialer = Dialer("db.test", port_of(listener))
    await dial_until_timeout(dialer)
    resolver.failing = True
    with pytest.raises(socket.gaierror) as caught:
        await BoundedConnection.open(dialer)
    assert explain_network(caught.value, dialer) is Reason.DNS
    resolver.failing = False
    silent, resolver.answering = resolver.answering, threading.Event()
    resolver.answering.set()
    (await BoundedConnection.open(dialer)).abort()
    silent.set()


async def test_the_late_answer_of_an_abandoned_lookup_is_used(
    resolver: Resolver, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no further lookup may start, the earlier ones still bring recovery."""
    monkeypatch.setattr("app.checks.network.START_INTERVAL", 0)
    dialer = Dialer("db.test", port_of(listener))
    for _ in range(MAX_CALLS + 2):
        await dial_until_timeout(dialer, 0.005)
    await eventually(lambda: resolver.lookups == MAX_CALLS)
    dialing = asyncio.create_task(BoundedConnection.open(dialer))
    resolver.answering.set()
    (await dialing).abort()
    assert resolver.lookups == MAX_CALLS


async def test_the_thread_of_a_lookup_ends(resolver: Resolver, listener: socket.socket) -> None:
    """No thread is left once the resolver has answered."""
    dialer = Dialer("db.test", port_of(listener))
    before = set(threading.enumerate())
    await dial_until_timeout(dialer)
    (thread,) = set(threading.enumerate()) - before
    resolver.answering.set()
    (await BoundedConnection.open(dialer)).abort()
    thread.join(5)
    assert not thread.is_alive()


def test_a_lookup_may_outlive_the_event_loop(resolver: Resolver) -> None:
    """The process may end while a lookup hangs; its result is dropped."""
    asyncio.run(dial_until_timeout(Dialer("db.test", 1)))
    resolver.answering.set()
    for thread in threading.enumerate():
        if thread.name == "resolve db.test":
            thread.join(5)
            assert not thread.is_alive()


async def test_a_server_that_does_not_accept_is_a_connect_timeout(silent: socket.socket) -> None:
    """No connection is established."""
    dialer = Dialer("127.0.0.1", port_of(silent))
    await dial_until_timeout(dialer, 0.1)
    assert explain_network(TimeoutError(), dialer) is Reason.CONNECT_TIMEOUT


async def test_a_lookup_that_could_not_start_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """Once threads can start again, names are resolved again."""
    dialer = Dialer("localhost", port_of(listener))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        for _ in range(MAX_CALLS + 1):
            with pytest.raises(RuntimeError, match="new thread"):
                await BoundedConnection.open(dialer)
    async with asyncio.timeout(2):
        (await BoundedConnection.open(dialer)).abort()


async def test_the_first_address_that_accepts_is_used(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """If none accepts, the error is that of the address which the resolver prefers."""
    working = (socket.AF_INET, listener.getsockname())
    closed, unroutable = (
        (socket.AF_INET, ("127.0.0.1", 1)),
        (socket.AF_INET, ("255.255.255.255", 1)),
    )

    (await BoundedConnection.open(resolve(monkeypatch, [closed, working]))).abort()
    with pytest.raises(ConnectionRefusedError):
        await BoundedConnection.open(resolve(monkeypatch, [closed, unroutable]))


def resolve(monkeypatch: pytest.MonkeyPatch, addresses: list[Any]) -> Dialer:
    """Return a dialer of a name with these addresses."""
    answer = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    return Dialer("db.test", 1)


async def test_an_address_that_drops_packets_does_not_hide_another(
    monkeypatch: pytest.MonkeyPatch, silent: socket.socket, listener: socket.socket
) -> None:
    """The second address is tried while the first one is silent."""
    addresses = [(socket.AF_INET, one.getsockname()) for one in (silent, listener)]
    dialer = resolve(monkeypatch, addresses)
    async with asyncio.timeout(START_DELAY + 0.5):
        connected = await BoundedConnection.open(dialer)
    assert connected.address == listener.getsockname()
    connected.abort()


async def test_an_invalid_name_is_dns() -> None:
    """It has an empty label, or one that is too long."""
    for name in ("db..internal", "x" * 64 + ".internal"):
        dialer = Dialer(name, 1)
        with pytest.raises((UnicodeError, socket.gaierror)) as caught:
            await BoundedConnection.open(dialer)
        assert explain_network(caught.value, dialer) is Reason.DNS


async def test_a_unix_socket_with_a_full_backlog_is_retried(tmp_path: Path) -> None:
    """A frozen server is a connect timeout, although the kernel refuses at once."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        filler = stack.enter_context(socket.socket(socket.AF_UNIX))
        filler.connect(path)
        dialer = Dialer(path)
        dialing = asyncio.create_task(BoundedConnection.open(dialer))
        await asyncio.wait({dialing}, timeout=0.1)
        assert not dialing.done()
        assert explain_network(TimeoutError(), dialer) is Reason.CONNECT_TIMEOUT
        listener.accept()[0].close()
        (await dialing).abort()


async def test_a_cancelled_connect_closes_its_unix_socket(tmp_path: Path) -> None:
    """Otherwise Python warns, which fails the test. The backlog stays full until the deadline."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as filler:
        listener.bind(path)
        listener.listen(0)
        filler.connect(path)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await Dialer(path).dial(asyncio.Protocol)
    gc.collect()
