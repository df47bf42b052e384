"""The protocol that each connection begins with: usual requests are answered by their bytes."""

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from app.serving.bounded_protocol import BoundedProtocol
from app.serving.replies import Replies, Reply


logger = logging.getLogger("uvicorn.access")


class FastProtocol(asyncio.Protocol):
    """Answers the usual requests of a connection, and hands it to uvicorn at the first other one.

    What is handed over stays there: nothing that uvicorn has begun to read is guessed at.

    Args:
        quiet: whether successful probes are not told in the access log.

    Attributes:
        since: since when nobody is being answered.

    """

    def __init__(
        self,
        replies: Replies,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        quiet: bool,
    ) -> None:
        self._replies = replies
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._quiet = quiet
        self._loop = _loop or asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.since = self._loop.time()
        self._paused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Stand by, known to the server."""
        self.transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Answer, or hand over."""
        reply = self._replies.to(data, self._state.default_headers)
        if reply is None or self._paused:
            self._hand_over(data)
            return
        self.transport.write(reply.data)
        self.since = self._loop.time()
        self._state.total_requests += 1
        reply.note(self._replies.now)
        if not (reply.successful and self._quiet):
            self._log(reply)
        if reply.close:
            self.transport.close()
        else:
            self._keep()

    def connection_lost(self, exc: Exception | None) -> None:
        """Be known no more."""
        del exc
        self._leave()

    def pause_writing(self) -> None:
        """Answer no more while the client reads nothing: uvicorn knows how to wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Answer again."""
        self._paused = False

    def shutdown(self) -> None:
        """Close, as uvicorn asks of connections when it stops: none is ever in the middle here."""
        self.transport.close()

    def _hand_over(self, data: bytes) -> None:
        bounded = BoundedProtocol(self._config, self._state, self._app_state, self._loop)
        bounded.wait(self.since)
        self._leave()
        self.transport.set_protocol(bounded)
        bounded.connection_made(self.transport)
        if self._paused:
            bounded.pause_writing()
        bounded.data_received(data)

    def _leave(self) -> None:
        self._state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _keep(self) -> None:
        # One timer a connection, set again when it is due: cheaper than one a request.
        if self._timer is None:
            self._timer = self._loop.call_later(self._config.timeout_keep_alive, self._idle)

    def _idle(self) -> None:
        due = self.since + self._config.timeout_keep_alive
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._idle)
        else:
            self.transport.close()

    def _log(self, reply: Reply) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        client = get_remote_addr(self.transport)
        logger.info(
            '%s - "%s %s HTTP/%s" %d',
            "{}:{}".format(*client) if client else "",
            reply.request.method,
            reply.request.path,
            reply.request.version,
            reply.code,
        )
