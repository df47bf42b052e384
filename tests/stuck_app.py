"""The service with a custom check that ignores each cancellation."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from app import application, check_factory
from app.health import Check
from app.health.model import default_reason
from app.server.server import create_server
from app.settings import Settings, load
from tests.fakes import deaf
from tests.specs import spec_of


class StuckProbe:
    """A probe that never ends, even if cancelled."""

    explain = staticmethod(default_reason)

    async def __call__(self) -> None:
        """Never return."""
        await deaf(asyncio.Event())()


async def open_checks(
    settings: Settings, read_secret: Callable[[str], str], stack: AsyncExitStack
) -> list[Check]:
    """Open the checks of the settings, and add the stuck check."""
    stuck = check_factory.make_check(spec_of("mine", settings), StuckProbe())
    return [*await check_factory.open_checks(settings, read_secret, stack), stuck]


application.open_checks = open_checks  # type: ignore[attr-defined]
app = application.create_app()

if __name__ == "__main__":
    create_server(app, load()).run()
