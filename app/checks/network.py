"""Name resolution and connecting, without blocking the event loop, and the network's errors."""

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
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from app.checks.errors import (
    UNANSWERED_HANDSHAKE,
    CredentialError,
    ProtocolError,
    lookup_by_class,
)
from app.checks.race import race
from app.health import Certificate, Reason


class Stage(StrEnum):
    """The stages of an attempt, in their order. An attempt may skip some."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    AUTHENTICATION = "auth"
    QUERY = "query"


# Called at the start of each stage. An attempt runs in a task of its own, so a listener that is
# set there gets the stages of that attempt only.
STAGE_LISTENER: ContextVar[Callable[[Stage], None]] = ContextVar(
    "STAGE_LISTENER", default=lambda _stage: None
)


def enter_stage(stage: Stage) -> None:
    """Report that the attempt enters a stage, which ends the stage before it."""
    STAGE_LISTENER.get()(stage)


# How many calls of one kind may hang at the same time. The C library's resolver gives up after
# ten seconds with one name server, and later with several or with search domains. Reading a file
# from a network share may hang forever.
MAX_CALLS = 40

# The first calls start without a delay. The others start at least so many seconds apart: a check
# with a short interval must have some left when the resolver works again. The interval is less
# than the half second by which a result may be late.
BURST_CALLS = 8
START_INTERVAL = 0.4

# If the process has this many threads, each kind of call may still use a few: the names of many
# checks may hang at once, and a container has a limit of threads.
MAX_THREADS = 200
RESERVED_CALLS = 2

T = TypeVar("T")
P = TypeVar("P", bound=asyncio.BaseProtocol)


class BlockingCall(Generic[T]):
    """An async callable that runs a blocking function, such as a name lookup, on a thread.

    A blocking function can't be cancelled, and the event loop's thread pool is small and shared,
    so each call runs on its own thread. If the attempt ends before the call does, the call goes on
    in the background. It delays neither the next attempt, nor another check, nor the exit.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._name = name
        self._calls = set[asyncio.Future[T | Exception]]()
        self._started_at = -math.inf

    async def __call__(self) -> T:
        """Return what the function returns, or raise what it raises.

        If an earlier call finishes first, its result is used.
        """
        own = self._start() if self._may_start() else None
        pending = set(self._calls)
        while True:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                outcome = call.result()
                if not isinstance(outcome, Exception):
                    return outcome
                if call is own or not pending:
                    raise outcome

    def _may_start(self) -> bool:
        hanging = len(self._calls)
        if hanging < RESERVED_CALLS:
            return True
        waited = hanging < BURST_CALLS or time.monotonic() - self._started_at >= START_INTERVAL
        return waited and hanging < MAX_CALLS and threading.active_count() < MAX_THREADS

    def _start(self) -> asyncio.Future[T | Exception]:
        call = run_in_thread(self._call, self._name)
        self._started_at = time.monotonic()
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call


def run_in_thread(call: Callable[[], T], name: str) -> asyncio.Future[T | Exception]:
    """Run a function on its own thread; return a future of what it returns or raises.

    Raises:
        RuntimeError: the thread can't be started.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T | Exception] = loop.create_future()

    def settle(outcome: T | Exception) -> None:
        if not future.done():
            future.set_result(outcome)

    def run() -> None:
        # The event loop has priority: on a shared core this thread gets a quarter of the time.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        outcome: T | Exception
        try:
            outcome = call()
        except Exception as error:  # noqa: BLE001 - the future carries it to the caller
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed, so no task waits
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


# A name may have thousands of addresses, more than any attempt could try.
MAX_ADDRESSES = 16

# Seconds between two tries to connect to a Unix socket whose backlog is full.
UNIX_RETRY_INTERVAL = 0.02

Address = tuple[socket.AddressFamily, Any]


class Dialer:
    """Opens connections to a host and port, or to a Unix socket if *host* is a path.

    Attributes:
        timeout_reason: the reason if a deadline passes now.
        awaits_tls: whether the server has yet to answer a TLS handshake.
        certificate: of the newest verified connection.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        self.timeout_reason = Reason.TIMEOUT
        self.awaits_tls = False
        self.certificate: Certificate | None = None
        self._host = host
        self._port = port
        self._lookup = BlockingCall(partial(_lookup_addresses, host, port), f"resolve {host}")

    async def dial(self, create: Callable[[], P]) -> P:
        """Connect to the address that accepts first. They are tried in the resolver's order.

        Args:
            create: returns the protocol of a connection.

        Raises:
            OSError: the name has no address (`socket.gaierror`), or no address accepts.
        """
        self.timeout_reason, self.awaits_tls = Reason.DNS, False
        addresses = await self._resolve()
        self.timeout_reason = Reason.CONNECT_TIMEOUT
        enter_stage(Stage.TCP)
        attempts = [partial(_connect, create, *address) for address in addresses[:MAX_ADDRESSES]]
        _, protocol = await race(attempts, lambda connected: connected[0].abort())
        self.timeout_reason = Reason.TIMEOUT
        return protocol

    @cached_property
    def _numeric(self) -> list[Address]:
        """The addresses of a path or an IP address, which need no look-up; empty for a name."""
        if "%" not in self._host:  # otherwise the number of its interface may change
            with contextlib.suppress(socket.gaierror):
                return _lookup_addresses(self._host, self._port, socket.AI_NUMERICHOST)
        return []

    async def _resolve(self) -> list[Address]:
        try:
            if self._numeric:
                return self._numeric
            enter_stage(Stage.DNS)
            return await self._lookup()
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, "the host is not a valid DNS name") from error


def _lookup_addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    if host.startswith("/"):
        return [(socket.AF_UNIX, host)]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


async def _connect(
    create: Callable[[], P], family: socket.AddressFamily, address: Any
) -> tuple[asyncio.Transport, P]:
    loop = asyncio.get_running_loop()
    if family is socket.AF_UNIX:
        return await loop.create_connection(create, sock=await _connect_unix(address))
    host, port, *scope = address
    interface = f"%{scope[1]}" if scope and scope[1] else ""
    try:
        return await loop.create_connection(create, host + interface, port)
    except OSError as error:
        error.add_note(f"address {host}, port {port}")  # a name may have several
        raise


async def _connect_unix(path: str) -> socket.socket:
    """Connect, and retry while the backlog is full, which asyncio would mistake for success."""
    connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connecting.settimeout(0)
    try:
        while True:
            with contextlib.suppress(BlockingIOError):
                connecting.connect(path)
                return connecting
            await asyncio.sleep(UNIX_RETRY_INTERVAL)
    except BaseException:
        connecting.close()
        raise


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
        return dialer.timeout_reason
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return Reason.UNREACHABLE
    return lookup_by_class(NETWORK_REASONS, error) or Reason.ERROR
