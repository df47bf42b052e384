"""The service with a slow route, as users may add."""

import asyncio
import os

from app.application import create_app
from app.server.server import create_server
from app.settings import load


app = create_app()


@app.api_route("/slow", methods=["GET", "POST"])
async def slow(seconds: float) -> str:
    """Return the port of this instance after some seconds."""
    await asyncio.sleep(seconds)
    return os.environ["PORT"]


if __name__ == "__main__":
    create_server(app, load()).run()
