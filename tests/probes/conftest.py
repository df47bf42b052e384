"""What speaks to sockets runs on asyncio's own loop too; all else on the service's alone."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


BOTH = {"test_cut_short", "test_dialer", "test_tls", "test_unspoken", "test_wire"}


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the loops."""
    loops = {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, **loops} if item.path.stem in BOTH else loops
