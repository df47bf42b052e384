"""Who asks for something unusual under `vitals serve`: uvicorn's protocol, with bounds."""

import math
from itertools import chain

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


# Bytes of a head; and of what comes while nobody is being answered, which is a head that does not
# end, or the body of a request that has its answer.
LONGEST = 16 * 1024


class Guest(HttpToolsProtocol):
    """uvicorn's own reads a head for as long as it goes on, and keeps all of it."""

    _since = 0.0
    _unanswered = 0

    @property
    def since(self) -> float:
        """Since when nobody is being answered, or does not take the answer."""
        return math.inf if self._answering and not self.flow.write_paused else self._since

    def wait(self, since: float) -> None:
        """Have nobody being answered since then."""
        self._since = since

    def data_received(self, data: bytes) -> None:
        """Read on, unless that leads nowhere."""
        super().data_received(data)
        self._unanswered = 0 if self._answering else self._unanswered + len(data)
        if self._unanswered > LONGEST and not self.transport.is_closing():
            self.send_400_response("Request too long.")

    def on_headers_complete(self) -> None:
        """Begin to answer; what is raised here becomes a 400."""
        if len(self.url) + sum(map(len, chain(*self.headers))) > LONGEST:
            msg = "the head is too long"
            raise ValueError(msg)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for another request."""
        self.wait(self.loop.time())
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        self.wait(self.loop.time())
        super().pause_writing()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer whoever has no more to say: as with the doorman, that is no end to listening."""
        if self._answering:
            self.cycle.keep_alive = False
        return self._answering

    @property
    def _answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete  # type: ignore[redundant-expr]
