"""Serves one scene after another, as the service would."""

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

from app.api.page import POLICY, page
from tests.api.scenes import SCENES, Scene, operator
from tests.ports import free_port


@cache
def lived(scene: str) -> Scene:
    """Live through a scene, once."""
    return SCENES[scene]()


async def health(request: Request) -> Response:
    """Answer as `/health` does, with the scene that the query names."""
    scene, who = request.query_params["scene"], request.query_params.get("who")
    finding = lived(scene).verdict(operator() if who == "operator" else None)
    return Response(
        page(finding.bare if who == "stranger" else finding),
        200 if finding.passes else 503,
        {"content-security-policy": POLICY, "cache-control": "no-store"},
        "text/html",
    )


@contextlib.contextmanager
def stage() -> Iterator[str]:
    """Serve while the block runs; tell the URL, to which a scene's name is added."""
    port = free_port()
    app = Starlette(routes=[Route("/health", health)])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/health?scene="
    server.should_exit = True
    thread.join(10)
