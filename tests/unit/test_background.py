import logging
import queue

import pytest

from app.background import run_periodically


def test_a_task_that_raises_is_logged_and_called_again(caplog: pytest.LogCaptureFixture) -> None:
    """Of several errors in a row only the first is logged."""
    outcomes = iter((True, False, False, True, False, True))
    calls = queue.SimpleQueue[bool]()

    def task() -> None:
        calls.put(succeeds := next(outcomes, True))
        if not succeeds:
            raise LookupError("not now")

    with caplog.at_level(logging.INFO), run_periodically(task, "it", every=0):
        made = [calls.get(timeout=5) for _ in range(7)]
    assert made == [True, False, False, True, False, True, True]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all("not now" in str(record.exc_text) for record in caplog.records)
