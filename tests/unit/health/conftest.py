"""Every test of the core lives in simulated time."""

import asyncio
from collections.abc import Callable

from tests.support.fakes import SimulatedLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the asynchronous tests of this folder on a loop that leaps instead of waiting."""
    return {"simulated": SimulatedLoop}
