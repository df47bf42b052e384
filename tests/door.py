"""The two ways to answer bytes, and all that is seen of either."""

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
from tests.api.scene import AppUnderTest
from tests.fakes import simulate


ACCESS = logging.getLogger("uvicorn.access")


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and when it was closed."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("10.0.0.7", 1234), "sockname": ("10.0.0.1", 8000)})
        self.protocol = protocol
        self.written = b""
        self.closed: float | None = None
        self._reading, self._held = True, b""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another read."""
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def receive(self, data: bytes) -> None:
        """Have bytes arrive, unless nobody reads any more."""
        if self.closed is not None:
            return
        if self._reading:
            self.protocol.data_received(data)
        else:
            self._held += data

    def write(self, data: Any) -> None:
        """Keep what is written."""
        assert self.closed is None
        self.written += data

    def pause_reading(self) -> None:
        """Hold what arrives."""
        self._reading = False

    def resume_reading(self) -> None:
        """Let it through."""
        self._reading = True
        held, self._held = self._held, b""
        if held:
            self.receive(held)

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed is not None

    def close(self) -> None:
        """Be closed from now on."""
        if self.closed is None:
            loop = asyncio.get_running_loop()
            self.closed = loop.time()
            loop.call_soon(self.protocol.connection_lost, None)


class Door:
    """A port at which uvicorn listens, with or without somebody in front of it.

    Attributes:
        wire: the connection.
        state: what uvicorn keeps of all connections.

    """

    def __init__(self, app_under_test: AppUnderTest, *, fast: bool, quiet: bool = True) -> None:
        self._notes, self._noted = (
            app_under_test.answers.recorded,
            len(app_under_test.answers.recorded),
        )
        config = Config(app_under_test.app, log_config=None, lifespan="off", ws="none")
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"Tue, 24 Nov 2026 10:00:00 GMT")]
        make = (
            partial(FastProtocol, RawResponseCache(app_under_test.app), quiet=quiet)
            if fast
            else HttpToolsProtocol
        )
        protocol = make(config=config, server_state=self.state, app_state={})
        self.wire = Wire(protocol)
        protocol.connection_made(self.wire)

    async def hear(self, chunks: Sequence[bytes], pause: float) -> tuple[Any, ...]:
        """Tell what comes of chunks that arrive so many seconds apart."""
        for chunk in chunks:
            await asyncio.sleep(pause)
            self.wire.receive(chunk)
        await asyncio.sleep(pause)
        connected = len(self.state.connections)
        await asyncio.sleep(60)
        left = connected, len(self.state.connections), self.state.total_requests
        return self.wire.written, self.wire.closed, left, self._notes[self._noted :]


def heard(
    app_under_test: AppUnderTest,
    chunks: Sequence[bytes],
    *,
    fast: bool,
    quiet: bool = True,
    pause: float = 1.0,
) -> tuple[Any, ...]:
    """Tell what comes of chunks, in simulated time, and what the access log says."""

    async def story() -> tuple[Any, ...]:
        return await Door(app_under_test, fast=fast, quiet=quiet).hear(chunks, pause)

    with logged() as lines, filter_probe_logs(is_probe) if quiet else contextlib.nullcontext():
        return *simulate(story()), tuple(lines)


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Have the lines of the access log, as `vitals serve` sets it up, and nobody else."""
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
