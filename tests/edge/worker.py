"""The service with routes of a user's own, which tell which instance has answered."""

import os

from app.server.server import server
from app.settings import load
from tests.slow_app import app, slow


@app.api_route("/work", methods=["GET", "POST"])
async def work(seconds: float) -> str:
    """Take so long, and tell the port."""
    await slow(seconds)
    return os.environ["PORT"]


if __name__ == "__main__":
    server(app, load()).run()
