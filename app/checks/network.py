"""Reaching a server: name resolution and connecting, neither able to hold up anything else."""

import asyncio
import contextlib
import errno
import math
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from enum import StrEnum
from functools import partial
from typing import Any, Generic, TypeVar

from app.checks.errors import (
    UNANSWERED_HANDSHAKE,
    CredentialError,
    ProtocolError,
    lookup_by_class,
)
from app.health import Reason


class Stage(StrEnum):
    """What an attempt goes through, in this order; not every one needs each."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    AUTHENTICATION = "auth"
    QUERY = "query"


def ignore_stage(step: Stage) -> None:
    """Keep nothing of a step."""


# Hears of each step that an attempt begins, in that attempt's task alone.
STAGE_LISTENER: ContextVar[Callable[[Stage], None]] = ContextVar(
    "STAGE_LISTENER", default=ignore_stage
)


def enter_stage(step: Stage) -> None:
    """Tell that a step begins, and that the one before it is over."""
    STAGE_LISTENER.get()(step)


# Calls that may hang at once, of one kind: the C library's resolver gives up after ten seconds
# with one server, more with several or with search domains; a file on a share may never do.
MAX_CALLS = 40

# So many of them begin as often as there are attempts. The others begin no sooner than so many
# seconds after the one before: so that a check with a short interval has some left when the
# resolver works again. It is within the half second that an answer may be late.
UNPACED = 8
PACE = 0.4

# Beyond so many threads of the process, each kind of call has no more than a few: all names of
# many checks may hang, and a container has a limit.
MAX_THREADS = 200
FEW = 2

T = TypeVar("T")


class BlockingCall(Generic[T]):
    """A call that may block: a look-up of a name, the reading of a file.

    It can't be cancelled and the event loop's pool of threads is small and shared, so each runs on
    a thread of its own. One whose attempt has ended goes on in the background: it holds up neither
    the next attempt, nor another check, nor the end of the process.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._name = name
        self._calls = set[asyncio.Future[T | Exception]]()
        self._begun = -math.inf

    async def __call__(self) -> T:
        """Call, and tell what that returns or raises."""
        own = self._begin() if self._may_begin() else None
        pending = set(self._calls)
        while True:
            # What an earlier call comes to late is as true as what this one does.
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                outcome = call.result()
                if not isinstance(outcome, Exception):
                    return outcome
                if call is own or not pending:
                    raise outcome

    def _may_begin(self) -> bool:
        hanging = len(self._calls)
        if hanging < FEW:
            return True
        paced = hanging < UNPACED or time.monotonic() - self._begun >= PACE
        return paced and hanging < MAX_CALLS and threading.active_count() < MAX_THREADS

    def _begin(self) -> asyncio.Future[T | Exception]:
        call = run_in_thread(self._call, self._name)
        self._begun = time.monotonic()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call


def run_in_thread(call: Callable[[], T], name: str) -> asyncio.Future[T | Exception]:
    """Run a call on a thread of its own; return the future of what it returns or raises.

    Raises:
        RuntimeError: no thread could be started.

    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T | Exception] = loop.create_future()

    def settle(outcome: T | Exception) -> None:
        if not future.done():
            future.set_result(outcome)

    def run() -> None:
        # On a processor that both want, this thread gets a quarter and the event loop goes first.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        outcome: T | Exception
        try:
            outcome = call()
        except Exception as error:  # noqa: BLE001 - the future's reader decides what it means
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits for it
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


# A name may have thousands, of which no attempt could try all.
MAX_ADDRESSES = 16

# Seconds between two tries to connect to a Unix socket whose backlog is full.
UNIX_PAUSE = 0.02

Address = tuple[socket.AddressFamily, Any]


class Dialer:
    """Opens connections to one host and port, or to the Unix socket of a path.

    Attributes:
        waiting_for: the reason to give if a deadline passes now.
        awaits_tls: whether the server has yet to answer a TLS handshake.

    """

    def __init__(self, host: str, port: int = 0) -> None:
        self.waiting_for = Reason.TIMEOUT
        self.awaits_tls = False
        self._host = host
        self._port = port
        self._look_up = BlockingCall(partial(_addresses, host, port), f"resolve {host}")

    async def dial(self) -> socket.socket:
        """Connect to the first address that can be connected to, in the resolver's order.

        Raises:
            OSError: no address could be found (`socket.gaierror`), or none could be connected to.

        """
        self.waiting_for, self.awaits_tls = Reason.DNS, False
        addresses = await self._resolve()
        self.waiting_for = Reason.CONNECT_TIMEOUT
        enter_stage(Stage.TCP)
        connected = await _connect_any(addresses)
        self.waiting_for = Reason.TIMEOUT
        return connected

    async def _resolve(self) -> list[Address]:
        try:
            with contextlib.suppress(socket.gaierror):
                return _addresses(self._host, self._port, socket.AI_NUMERICHOST)
            enter_stage(Stage.DNS)
            return await self._look_up()
        except UnicodeError as error:
            msg = "the name is not one that DNS can hold"
            raise socket.gaierror(socket.EAI_NONAME, msg) from error


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    if host.startswith("/"):
        return [(socket.AF_UNIX, host)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


async def _connect_any(addresses: list[Address]) -> socket.socket:
    first: OSError | None = None
    for family, address in addresses[:MAX_ADDRESSES]:
        try:
            return await _connect(family, address)
        except OSError as error:
            first = first or error  # that of the address which the resolver prefers
    raise first or OSError("the name has no address")


async def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.settimeout(0)
        if family is socket.AF_UNIX:
            await _connect_unix(connecting, address)
        else:
            _notice_a_dead_peer(connecting)
            await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _connect_unix(connecting: socket.socket, path: str) -> None:
    """Connect when there is room. A full backlog refuses at once; asyncio takes it for success."""
    while True:
        with contextlib.suppress(BlockingIOError):
            connecting.connect(path)
            return
        await asyncio.sleep(UNIX_PAUSE)


def _notice_a_dead_peer(connection: socket.socket) -> None:
    """Have the kernel end a connection whose other side has been silent for 15 s."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)


UNREACHABLE = frozenset(
    {
        errno.EADDRNOTAVAIL,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
    }
)

NETWORK_REASONS: Mapping[type[BaseException], Reason] = {
    socket.gaierror: Reason.DNS,
    ssl.SSLError: Reason.TLS,
    ConnectionRefusedError: Reason.REFUSED,
    FileNotFoundError: Reason.REFUSED,  # the Unix socket of a server that does not run
    PermissionError: Reason.DENIED,
    ConnectionError: Reason.DISCONNECTED,
    EOFError: Reason.DISCONNECTED,
    CredentialError: Reason.AUTH,
    ProtocolError: Reason.PROTOCOL,
}


def explain_network(error: BaseException, dialer: Dialer) -> Reason:
    """Return the reason for an error of the operating system, the resolver, TLS or a deadline.

    Every kind of check falls back to this function. An error that it does not know is `error`.
    """
    if isinstance(error, TimeoutError):
        if dialer.awaits_tls:
            error.add_note(UNANSWERED_HANDSHAKE)
        return dialer.waiting_for
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return Reason.UNREACHABLE
    return lookup_by_class(NETWORK_REASONS, error) or Reason.ERROR
