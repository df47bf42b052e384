"""The service's event loop."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what is asynchronous on uvloop."""
    return {"uvloop": uvloop.new_event_loop}
