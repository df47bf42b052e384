"""The application as a server calls it: answers that are ready go before its routes."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from opentelemetry import context
from starlette.types import Receive, Scope, Send

from app.api.answers import HEADERS, RETRY_AFTER
from app.api.response_cache import ResponseCache
from app.api.routes import is_liveness, is_probe, route_path
from app.event_loop import Admission
from app.lifecycle import Lifecycle, close_when_draining


# By this every instrumentation lets itself be told to look away.
SUPPRESSED = "suppress_instrumentation"


@contextlib.contextmanager
def suppress_tracing() -> Iterator[None]:
    """Have no instrumentation make a span or a measurement of what the block does or starts."""
    token = context.attach(context.set_value(SUPPRESSED, value=True))
    try:
        yield
    finally:
        context.detach(token)


OVERLOADED = JSONResponse(
    {"detail": "too many requests at once"}, 503, {**HEADERS, "retry-after": RETRY_AFTER}
)


class Vitals(FastAPI):
    """The application, which has answers ready ahead of its routes.

    It spares the log the tracebacks that tell nothing. Whoever traces it sees neither the probes'
    requests nor the checks, which go on for ever.

    Attributes:
        lifecycle: where it stands, while it serves.
        readymade: the answers, while it serves.
        admissions: when other requests may begin, while it serves: those that take long (True),
            and the others, which wait for none of them.
        own_routes: how many routes it has without those of your own.

    """

    lifecycle: Lifecycle | None = None
    response_cache: ResponseCache | None = None
    admissions: Mapping[bool, Admission] = {}
    own_routes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what an answer is ready for, and leave the rest to the routes."""
        kind = scope["type"]
        if (
            kind == "http"
            and (response_cache := self.response_cache)
            and (answer := response_cache.to(scope))
        ):
            await send(answer.start)
            await send(answer.body)
            return
        with suppress_tracing() if skip_tracing(scope) else nullcontext():
            if kind == "lifespan":
                send = self._describe_failure(send)
            elif self.lifecycle:
                send = close_when_draining(send, self.lifecycle)
            if kind == "http" and not await self._admits(scope):
                await OVERLOADED(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    async def _admits(self, scope: Scope) -> bool:
        """Wait until a request may begin, and return whether there was room to wait.

        Liveness never waits, and neither does a router of your own.
        """
        path = route_path(scope)
        is_own = is_probe(path) or path == self.openapi_url or len(self.routes) == self.own_routes
        if not self.admissions or not is_own or is_liveness(path):
            return True
        return await self.admissions[takes_long(scope)].admitted()

    def _describe_failure(self, send: Send) -> Send:
        """Tell in our words why a start has failed or an end was cut short."""

        async def tell(message: Any) -> None:
            if problems := getattr(self.state, "problems", None):
                message["message"] = "\n".join(problems)
            elif cancelled():
                message["message"] = "ended at once, as told twice"
            await send(message)

        return tell


def takes_long(scope: Scope) -> bool:
    """Return whether a request is for a page, for metrics, or for anything that is no probe's."""
    accepted = [value for name, value in scope["headers"] if name == b"accept"]
    is_page = any(b"html" in text for text in (scope["query_string"], *accepted))
    path = route_path(scope)
    return is_page or not is_probe(path) or path.rstrip("/") == "/metrics"


def skip_tracing(scope: Scope) -> bool:
    """Return whether tracing should skip this scope."""
    return scope["type"] == "lifespan" or is_probe(route_path(scope))


def cancelled() -> bool:
    """Whether what runs now has been told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
