"""The service with a user's own route, which returns the port of the answering instance."""

import os

from app.server.server import create_server
from app.settings import load
from tests.support.slow_app import app, slow


@app.api_route("/work", methods=["GET", "POST"])
async def work(seconds: float) -> str:
    """Return the port after some seconds."""
    await slow(seconds)
    return os.environ["PORT"]


if __name__ == "__main__":
    create_server(app, load()).run()
