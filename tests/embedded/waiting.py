"""Waiting for what comes about in its own time."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], within: float = 10) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
