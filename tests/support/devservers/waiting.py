"""Waiting for a condition."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], within: float = 10) -> None:
    """Wait until *condition* returns true, for at most *within* seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
