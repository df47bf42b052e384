"""The service with a custom check that ignores each cancellation."""

import asyncio
from typing import Any

from app import application, check_factory
from app.health import Check
from app.health.model import default_reason
from app.server.server import create_server
from app.settings import Settings, load
from tests.support.fakes import deaf
from tests.support.specs import spec_of


def create_checks(settings: Settings, read_secret: Any) -> tuple[list[Check], Any]:
    """Create the checks of the settings, and add the stuck check."""
    probe: Any = deaf(asyncio.Event())
    probe.explain = default_reason
    checks, open_probes = check_factory.create_checks(settings, read_secret)
    return [*checks, check_factory.make_check(spec_of("mine", settings), probe)], open_probes


application.create_checks = create_checks  # type: ignore[attr-defined]
app = application.create_app()

if __name__ == "__main__":
    create_server(app, load()).run()
