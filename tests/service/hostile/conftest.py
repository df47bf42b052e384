"""Run the async tests on uvloop, the event loop of the service."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loop of the service."""
    return {"uvloop": uvloop.new_event_loop}
