"""The service with a route that returns the number of tasks on its event loop."""

import asyncio

from app import logs
from app.application import create_app
from app.server.server import create_server
from app.settings import load


app = create_app()


@app.get("/tasks")
async def tasks() -> int:
    """Return the number of tasks, the one of this request included."""
    return len(asyncio.all_tasks())


def main() -> None:
    """Serve, as `vitals serve` does."""
    settings = load()
    logs.configure(settings.log_level, "json")
    create_server(app, settings).run()


if __name__ == "__main__":
    main()
