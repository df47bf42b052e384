"""What the log does to whoever logs when nobody takes what it has to say."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from app.logs import JsonFormatter
from app.spool import MOST, Spool


LONG = "x" * 1000


@contextlib.contextmanager
def logging_to(descriptor: int) -> Iterator[logging.Logger]:
    """A logger of its own that writes there."""
    logger = logging.Logger("vitals")  # noqa: LOG001 - one that nobody else has
    spool = Spool(descriptor)
    spool.setFormatter(JsonFormatter())
    logger.addHandler(spool)
    yield logger
    spool.close()


@pytest.fixture(name="pipe")
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe: where to read, and where to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_the_end_waits_for_what_was_logged(pipe: tuple[int, int]) -> None:
    """In the order in which it was."""
    with logging_to(pipe[1]) as logger:
        for number in range(20):
            logger.warning("line %d", number)
    told = [json.loads(line)["event"] for line in os.read(pipe[0], 65536).splitlines()]
    assert told == [f"line {number}" for number in range(20)]


def test_nobody_waits_for_a_pipe_that_is_not_read(pipe: tuple[int, int]) -> None:
    """Memory has a bound; what is beyond it is dropped, and told once somebody reads."""
    written = MOST + 500
    with logging_to(pipe[1]) as logger:
        for _ in range(written):
            logger.warning(LONG)
        reader = Reader(pipe[0])
    os.close(pipe[1])
    reader.join()
    lines = [json.loads(line) for line in reader.seen.splitlines()]
    (told,) = [line for line in lines if line["event"] == "lines were dropped"]
    assert told["lines"] + len(lines) - 1 == written
    assert 0 < told["lines"] < 500


class Reader(threading.Thread):
    """Reads all that comes, on a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.seen = b""
        self._descriptor = descriptor
        self.start()

    def run(self) -> None:
        """Read until there is nobody who writes."""
        while data := os.read(self._descriptor, 1 << 20):
            self.seen += data


def test_a_pipe_that_nobody_reads_does_not_hold_the_end_up(pipe: tuple[int, int]) -> None:
    """What nobody takes is lost, and so is no more than a moment."""
    with logging_to(pipe[1]) as logger:
        for _ in range(200):
            logger.warning(LONG)


def test_a_reader_who_is_gone_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    """No exception comes of it, neither here nor on the thread."""
    os.close(pipe[0])
    with logging_to(pipe[1]) as logger:
        logger.warning("anybody there?")


def test_a_line_that_was_torn_off_ends_before_the_next(pipe: tuple[int, int]) -> None:
    """A descriptor that does not block takes a part, as a full disk does: lines stay lines."""
    os.set_blocking(pipe[1], False)
    torn = "y" * 100_000
    with logging_to(pipe[1]) as logger:
        logger.warning(torn)
        seen = os.read(pipe[0], 1 << 20)
        while torn[:10].encode() not in seen:
            seen += os.read(pipe[0], 1 << 20)
        logger.warning("whole")
    seen += os.read(pipe[0], 1 << 20)
    events = [json.loads(line) for line in seen.splitlines()[1:]]
    assert [one["event"] for one in events] == ["whole", "lines were dropped"]


def test_what_can_not_be_told_is_counted(pipe: tuple[int, int]) -> None:
    """A mistake in a line of ours must not end what it tells of."""
    with logging_to(pipe[1]) as logger:
        logger.warning("%d lines", "not a number")
        logger.warning("on")
    events = [json.loads(line)["event"] for line in os.read(pipe[0], 65536).splitlines()]
    assert events == ["on", "lines were dropped"]
