"""A simulated connection to the fast path, or to uvicorn without it."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api.routes import is_probe
from app.logs import filter_probe_logs
from app.server.fast_path import FastProtocol, RawResponseCache
from app.server.limits import ConnectionSet
from tests.support.fakes import simulate
from tests.unit.api.scene import AppUnderTest


# Seconds.
KEEP_ALIVE = 5

ACCESS = logging.getLogger("uvicorn.access")


class FakeTransport(asyncio.Transport):
    """A transport that records what is written and when it is closed."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("10.0.0.7", 1234), "sockname": ("10.0.0.1", 8000)})
        self.protocol = protocol
        self.written = b""
        self.closed: float | None = None
        self._reading, self._pending = True, b""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def receive(self, data: bytes) -> None:
        """Deliver bytes to the protocol, or keep them while it has paused reading."""
        if self.closed is not None:
            return
        if self._reading:
            self.protocol.data_received(data)
        else:
            self._pending += data

    def write(self, data: Any) -> None:
        assert self.closed is None
        self.written += data

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        pending, self._pending = self._pending, b""
        if pending:
            self.receive(pending)

    def is_closing(self) -> bool:
        return self.closed is not None

    def close(self) -> None:
        if self.closed is None:
            loop = asyncio.get_running_loop()
            self.closed = loop.time()
            loop.call_soon(self.protocol.connection_lost, None)


class Connection:
    """A connection to uvicorn, with the fast path or without.

    Attributes:
        state: uvicorn's state, which all its connections share.
        connections: its connections.
    """

    def __init__(self, app_under_test: AppUnderTest, *, fast: bool, quiet: bool = True) -> None:
        # `vitals serve` does not use uvicorn's timer of idle connections.
        config = Config(
            app_under_test.app, log_config=None, lifespan="off", ws="none", timeout_keep_alive=10**6
        )
        self.state = ServerState()
        self.state.connections = self.connections = ConnectionSet(9, KEEP_ALIVE)
        self.state.default_headers = [(b"date", b"Tue, 24 Nov 2026 10:00:00 GMT")]
        create = (
            partial(FastProtocol, RawResponseCache(app_under_test.app), quiet=quiet)
            if fast
            else HttpToolsProtocol
        )
        protocol = create(config=config, server_state=self.state, app_state={})
        self.transport = FakeTransport(protocol)
        protocol.connection_made(self.transport)


def exchange(
    app_under_test: AppUnderTest,
    chunks: Sequence[bytes],
    *,
    fast: bool,
    quiet: bool = True,
    pause: float = 1.0,
) -> tuple[Any, ...]:
    """Receive chunks *pause* simulated seconds apart, and return all that can be observed."""
    recorded = app_under_test.answers.recorded
    before = len(recorded)

    async def run() -> tuple[Any, ...]:
        connection = Connection(app_under_test, fast=fast, quiet=quiet)
        transport, state = connection.transport, connection.state
        for chunk in chunks:
            await asyncio.sleep(pause)
            transport.receive(chunk)
        await asyncio.sleep(pause)
        connected = len(state.connections)
        await asyncio.sleep(60)
        counts = connected, len(state.connections), state.total_requests
        return transport.written, transport.closed, counts, recorded[before:]

    with (
        captured_access_log() as lines,
        filter_probe_logs(is_probe) if quiet else contextlib.nullcontext(),
    ):
        return *simulate(run()), tuple(lines)


@contextlib.contextmanager
def captured_access_log() -> Iterator[list[str]]:
    """Capture the lines of the access log, and print none."""
    lines: list[str] = []
    handler, level, propagate = logging.Handler(), ACCESS.level, ACCESS.propagate
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    ACCESS.addHandler(handler)
    ACCESS.propagate = False
    ACCESS.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        ACCESS.setLevel(level)
        ACCESS.propagate = propagate
        ACCESS.removeHandler(handler)
