"""Tests of sockets run on asyncio's event loop as well as uvloop; other tests run on uvloop."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


ON_BOTH_LOOPS = {"test_cut_short", "test_dialer", "test_tls", "test_unspoken", "test_wire"}


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loops for a test."""
    loops = {"uvloop": uvloop.new_event_loop}
    return (
        {"asyncio": asyncio.new_event_loop, **loops} if item.path.stem in ON_BOTH_LOOPS else loops
    )
