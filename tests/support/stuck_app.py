"""The service with a custom check that ignores each cancellation."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from app import application, check_factory
from app.health import Check
from app.health.model import default_reason
from app.server.server import create_server
from app.settings import Settings, load
from tests.support.fakes import deaf
from tests.support.specs import spec_of


class StuckProbe:
    """A probe that never ends, even if cancelled."""

    explain = staticmethod(default_reason)

    async def __call__(self) -> None:
        """Never return."""
        await deaf(asyncio.Event())()


def create_checks(
    settings: Settings, read_secret: Callable[[str], str]
) -> tuple[list[Check], Callable[[AsyncExitStack], Awaitable[None]]]:
    """Create the checks of the settings, and add the stuck check."""
    stuck = check_factory.make_check(spec_of("mine", settings), StuckProbe())
    checks, open_probes = check_factory.create_checks(settings, read_secret)
    return [*checks, stuck], open_probes


application.create_checks = create_checks  # type: ignore[attr-defined]
app = application.create_app()

if __name__ == "__main__":
    create_server(app, load()).run()
