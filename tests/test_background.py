import logging
import queue

import pytest

from app.background import run_periodically


def test_a_look_that_fails_is_told_and_made_again(caplog: pytest.LogCaptureFixture) -> None:
    """Once for several in a row: what goes on beside the requests goes on."""
    looks, made = iter((True, False, False, True, False, True)), queue.SimpleQueue[bool]()

    def look() -> None:
        made.put(works := next(looks, True))
        if not works:
            msg = "not now"
            raise LookupError(msg)

    with caplog.at_level(logging.INFO), run_periodically(look, "it", every=0):
        seen = [made.get(timeout=5) for _ in range(7)]
    assert seen == [True, False, False, True, False, True, True]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all("not now" in str(record.exc_text) for record in caplog.records)
