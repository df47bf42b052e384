"""A server for the example states of the page."""

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import cache

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.page import POLICY, render_page
from tests.support.ports import free_port
from tests.unit.api.scenes import PAGE_STATES, PageState, operator


@cache
def page_state(name: str) -> PageState:
    """Build an example state, once."""
    return PAGE_STATES[name]()


async def health(request: Request) -> Response:
    """Answer as `/health` does, with the state that the query names.

    `client=operator` shows what operators see, `refused` the page for an expired token, and
    `anonymous` and `refused-anonymous` pages without details. Other clients have no token.
    """
    state, client = request.query_params["state"], request.query_params.get("client", "")
    view = operator() if client == "operator" else None
    refusal = None if view else "has expired" * client.startswith("refused")
    verdict = page_state(state).verdict(view, refusal)
    return Response(
        render_page(verdict.without_details if client.endswith("anonymous") else verdict),
        200 if verdict.passes else 503,
        {"content-security-policy": POLICY, "cache-control": "no-store"},
        "text/html",
    )


@contextlib.contextmanager
def page_server() -> Iterator[str]:
    """Serve while the block runs; yield the URL, to which tests append the name of a state."""
    port = free_port()
    app = Starlette(routes=[Route("/health", health)])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/health?state="
    server.should_exit = True
    thread.join(10)
