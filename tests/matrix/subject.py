"""The service with a route that tells how many tasks its event loop has."""

import asyncio

from app import logs
from app.application import create_app
from app.server.server import server
from app.settings import load


app = create_app()


@app.get("/tasks")
async def tasks() -> int:
    """Count this one too."""
    return len(asyncio.all_tasks())


def main() -> None:
    """Serve, as `vitals serve` does."""
    settings = load()
    logs.configure(settings.log_level, "json")
    server(app, settings).run()


if __name__ == "__main__":
    main()
