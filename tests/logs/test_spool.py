"""What the log does to whoever logs when nobody takes what it has to say."""

import contextlib
import io
import json
import logging
import os
import select
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count, islice
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from app.logs.formats import JsonFormatter
from app.logs.handler import MAX_BYTES, NonBlockingHandler


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LONG = "x" * 1000

# Seconds within which a busy machine has read ten megabytes.
WITHIN = 30


@contextlib.contextmanager
def logging_to(descriptor: int) -> Iterator[logging.Logger]:
    """A logger of its own that writes there."""
    logger = logging.Logger("vitals")  # noqa: LOG001 - one that nobody else has
    spool = NonBlockingHandler(descriptor)
    spool.setFormatter(JsonFormatter())
    logger.addHandler(spool)
    yield logger
    spool.close()


@pytest.fixture(name="patient")
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the end wait for all that is still to be written."""
    monkeypatch.setattr("app.logs.handler.FLUSH_TIMEOUT", WITHIN)


@pytest.fixture(name="pipe")
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe: where to read, and where to write."""
    others, (end, beginning) = set(threading.enumerate()), os.pipe()
    yield end, beginning
    with contextlib.suppress(OSError):
        os.close(end)
    # Whoever still writes hears of that, and must not go on in the next test's pipe.
    for thread in set(threading.enumerate()) - others:
        if thread.name == "log":
            thread.join(WITHIN)
    with contextlib.suppress(OSError):
        os.close(beginning)


@pytest.mark.usefixtures("patient")
def test_the_end_waits_for_what_was_logged(pipe: tuple[int, int]) -> None:
    """In the order in which it was."""
    with logging_to(pipe[1]) as logger:
        for number in range(20):
            logger.warning("line %d", number)
    told = [json.loads(line)["event"] for line in os.read(pipe[0], 65536).splitlines()]
    assert told == [f"line {number}" for number in range(20)]


@pytest.mark.usefixtures("patient")
def test_the_end_waits_for_whoever_reads_late(pipe: tuple[int, int]) -> None:
    """More lines than a pipe holds: all are written when it returns, and the thread has ended."""
    before, readers = set(threading.enumerate()), list[Reader]()
    later = threading.Timer(0.1, lambda: readers.append(Reader(pipe[0])))
    with logging_to(pipe[1]) as logger:
        for _ in range(200):
            logger.warning(LONG)
        later.start()
    later.join()
    assert readers[0].lines(200)
    assert before.issuperset(set(threading.enumerate()) - set(readers))
    os.close(pipe[1])
    readers[0].join()


def test_nobody_waits_for_a_pipe_that_is_not_read(pipe: tuple[int, int]) -> None:
    """Lines beyond the bound in bytes are dropped, and counted once someone reads."""
    written = MAX_BYTES // len(LONG)
    with logging_to(pipe[1]) as logger:
        # It is stuck before the first line is dropped, and so tells of all of them at once.
        for _ in range(written - filled(logger, pipe[1])):
            logger.warning(LONG)
        reader = Reader(pipe[0])
        dropped = reader.dropped.result(WITHIN)
        assert reader.lines(written - dropped + 1)
    # A line is a little longer than its event.
    assert 0 < dropped < written / 3
    os.close(pipe[1])
    reader.join()
    assert reader.count == written - dropped + 1


def filled(logger: logging.Logger, descriptor: int) -> int:
    """Log until a pipe takes no more, and tell how many lines that took."""
    for number in count():
        if not select.select([], [descriptor], [], 0)[1]:
            return number
        logger.warning(LONG)
        time.sleep(0)  # its thread may write
    raise AssertionError


class Reader(threading.Thread):
    """Reads all that comes, on a thread of its own.

    Attributes:
        dropped: how many log lines dropped, once that is told.
        count: how many have come.

    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.dropped = Future[int]()
        self.count = 0
        self._descriptor = descriptor
        self._more = threading.Condition()
        self.start()

    def run(self) -> None:
        """Read until there is nobody who writes."""
        with open(self._descriptor, closefd=False) as file:
            for line in file:
                told = json.loads(line)
                if told["event"] == "log lines dropped":
                    self.dropped.set_result(told["lines"])
                with self._more:
                    self.count += 1
                    self._more.notify_all()

    def lines(self, number: int) -> bool:
        """Wait for so many lines; tell whether they have come."""
        with self._more:
            return self._more.wait_for(lambda: self.count >= number, WITHIN)


def test_a_pipe_that_nobody_reads_does_not_hold_the_end_up(pipe: tuple[int, int]) -> None:
    """What nobody takes is lost, and so is no more than a moment."""
    with logging_to(pipe[1]) as logger:
        for _ in range(200):
            logger.warning(LONG)


@pytest.mark.parametrize("length", [1, 8_000])
def test_a_full_queue_takes_little_more_memory_than_its_bytes(
    length: int, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of short lines and of long ones, whose characters take several bytes, none is written."""
    monkeypatch.setattr("app.logs.handler.MAX_BYTES", most := MAX_BYTES // 16)
    with logging_to(pipe[1]) as logger:
        logger.warning("x" * 8_000)
        tracemalloc.start()
        try:
            for _ in range(2 * most // (length + 100)):
                logger.warning("\N{SNOWMAN}" * length)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < 2 * most


def test_a_reader_who_is_gone_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    """No exception comes of it, neither here nor on the thread."""
    os.close(pipe[0])
    with logging_to(pipe[1]) as logger:
        logger.warning("anybody there?")


class Narrow(io.FileIO):
    """Takes a part of what is written, as a full disk does, then nothing, then everything."""

    takes: ClassVar[list[int | None]] = []

    def write(self, data: "ReadableBuffer") -> int:
        """Take as much as it is the turn to."""
        if not self.takes:
            return super().write(data)
        take = self.takes.pop(0)
        return take and super().write(memoryview(data)[:take])  # type: ignore[return-value]


@pytest.mark.usefixtures("patient")
def test_a_line_that_was_torn_off_ends_before_the_next(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines stay lines, and what was lost is told."""
    monkeypatch.setattr("app.logs.handler.io.FileIO", Narrow)
    monkeypatch.setattr(Narrow, "takes", [10, None])
    with logging_to(pipe[1]) as logger:
        logger.warning("torn")
        logger.warning("whole")
    torn, *lines = os.read(pipe[0], 65536).splitlines()
    assert len(torn) == 10
    assert [json.loads(line)["event"] for line in lines] == ["whole", "log lines dropped"]


@pytest.mark.usefixtures("patient")
def test_a_loss_that_can_not_be_told_yet_is_told_later(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, has room for a line, is full again, and has room."""
    monkeypatch.setattr("app.logs.handler.io.FileIO", Narrow)
    monkeypatch.setattr(Narrow, "takes", [None, 1000, None])
    with logging_to(pipe[1]) as logger:
        for event in ("lost", "room", "and more"):
            logger.warning(event)
    told = [json.loads(line) for line in os.read(pipe[0], 65536).splitlines()]
    assert [line["event"] for line in told] == ["room", "and more", "log lines dropped"]
    assert told[-1]["lines"] == 1


@pytest.mark.usefixtures("patient")
def test_what_no_encoding_knows_ends_nothing(pipe: tuple[int, int]) -> None:
    """Half a character, as of a file's name in a traceback, is told as a question mark."""
    with logging_to(pipe[1]) as logger:
        logger.handlers[0].setFormatter(logging.Formatter())
        logger.warning("\udcff")
        logger.warning("on")
    os.close(pipe[1])
    assert os.read(pipe[0], 65536).splitlines() == [b"?", b"on"]


@pytest.mark.usefixtures("patient")
def test_what_can_not_be_told_is_counted(pipe: tuple[int, int]) -> None:
    """A mistake in a line of ours must not end what it tells of."""
    with logging_to(pipe[1]) as logger:
        logger.warning("%d lines", "not a number")
        logger.warning("on")
    events = [json.loads(line)["event"] for line in os.read(pipe[0], 65536).splitlines()]
    assert events == ["on", "log lines dropped"]


def test_what_is_logged_while_a_line_is_put_or_taken_holds_nothing_up(
    pipe: tuple[int, int],
) -> None:
    """The garbage collector may run there, and asyncio tell of an error that nobody heard of."""
    reader, more = Reader(pipe[0]), iter(range(2000))
    logger = logging.Logger("vitals")  # noqa: LOG001 - one that nobody else has

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        for number in islice(more, len(logger.handlers)):
            logger.warning("line %d", number)
        return trace

    before = threading.gettrace()
    threading.settrace(trace)  # of threads that are started now
    try:
        spool = NonBlockingHandler(pipe[1])
        spool.setFormatter(JsonFormatter())
        logger.addHandler(spool)
        threading.Thread(target=logger.warning, args=("on",), daemon=True).start()
        assert reader.lines(2001)
    finally:
        threading.settrace(before)
    spool.close()
    os.close(pipe[1])
    reader.join()
