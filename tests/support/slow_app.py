"""The service with a slow route, as users may add."""

import asyncio

from app.application import create_app
from app.server.server import create_server
from app.settings import load


app = create_app()


@app.get("/slow")
async def slow(seconds: float) -> str:
    """Answer after a delay."""
    await asyncio.sleep(seconds)
    return "done"


if __name__ == "__main__":
    create_server(app, load()).run()
