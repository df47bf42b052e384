"""The service with a route that takes its time, as a user's own would."""

import asyncio

from app.application import create_app
from app.server.server import create_server
from app.settings import load


app = create_app()


@app.get("/slow")
async def slow(seconds: float) -> str:
    """Answer late."""
    await asyncio.sleep(seconds)
    return "done"


if __name__ == "__main__":
    create_server(app, load()).run()
