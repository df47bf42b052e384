"""The ASGI application: cached responses first, then FastAPI's routes."""

import asyncio
import contextlib
from collections.abc import Iterator
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


# The context key that makes every OpenTelemetry instrumentation skip its work.
SUPPRESSED = "suppress_instrumentation"


@contextlib.contextmanager
def suppress_tracing() -> Iterator[None]:
    """Suppress spans and measurements of the block and of the tasks that it starts."""
    token = context.attach(context.set_value(SUPPRESSED, value=True))
    try:
        yield
    finally:
        context.detach(token)


OVERLOADED = JSONResponse(
    {"detail": "too many requests at once"}, 503, {**HEADERS, "retry-after": RETRY_AFTER}
)


class Vitals(FastAPI):
    """The application, with a response cache in front of its routes.

    Traces contain neither the requests of probes nor the checks, which would fill them.

    Attributes:
        lifecycle: None, as the next three, while the application does not serve.
        admission: limits the requests that are not cached, except slow ones.
        slow_admission: limits slow requests, so that others never wait for them.
        own_routes: the number of routes without those that the user has added.
    """

    lifecycle: Lifecycle | None = None
    response_cache: ResponseCache | None = None
    admission: Admission | None = None
    slow_admission: Admission | None = None
    own_routes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the cached response if there is one, otherwise call the routes."""
        kind = scope["type"]
        if (
            kind == "http"
            and (response_cache := self.response_cache)
            and (response := response_cache.respond(scope))
        ):
            await send(response.start)
            await send(response.body)
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
        """Wait until a request may start, and return whether it may.

        Liveness never waits, and neither do routes that the user has added.
        """
        path = route_path(scope)
        is_own = is_probe(path) or path == self.openapi_url or len(self.routes) == self.own_routes
        if not is_own or is_liveness(path):
            return True
        admission = self.slow_admission if is_slow(scope) else self.admission
        return admission is None or await admission.acquire()

    def _describe_failure(self, send: Send) -> Send:
        """Replace the traceback of a failed start or an interrupted stop with one clear message."""

        async def send_description(message: Any) -> None:
            task = asyncio.current_task()
            if problems := getattr(self.state, "problems", None):
                message["message"] = "\n".join(problems)
            elif task is not None and task.cancelling() > 0:
                message["message"] = "second signal: exiting immediately"
            await send(message)

        return send_description


def is_slow(scope: Scope) -> bool:
    """Return whether a request asks for a page, for metrics, or for anything but an endpoint."""
    accepted = [value for name, value in scope["headers"] if name == b"accept"]
    is_page = any(b"html" in text for text in (scope["query_string"], *accepted))
    path = route_path(scope)
    return is_page or not is_probe(path) or path.rstrip("/") == "/metrics"


def skip_tracing(scope: Scope) -> bool:
    """Return whether traces leave this scope out: the lifespan, and requests of probes."""
    return scope["type"] == "lifespan" or is_probe(route_path(scope))
