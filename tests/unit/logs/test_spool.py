"""NonBlockingHandler: logging never blocks, even if nothing reads the pipe."""

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

# Seconds that a busy machine needs at most to read ten megabytes.
WITHIN = 30


@contextlib.contextmanager
def logging_to(descriptor: int) -> Iterator[logging.Logger]:
    """Return a logger with a NonBlockingHandler, which is closed at the end of the block."""
    logger = logging.Logger("vitals")  # noqa: LOG001 - a logger that no other test uses
    handler = NonBlockingHandler(descriptor)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    yield logger
    handler.close()


@pytest.fixture(name="patient")
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `close` wait until all lines are written."""
    monkeypatch.setattr("app.logs.handler.FLUSH_TIMEOUT", WITHIN)


@pytest.fixture(name="pipe")
def _pipe() -> Iterator[tuple[int, int]]:
    """Yield the reading and the writing end of a pipe."""
    others, (end, beginning) = set(threading.enumerate()), os.pipe()
    yield end, beginning
    with contextlib.suppress(OSError):
        os.close(end)
    # A thread that still writes gets EPIPE now. Otherwise it could write to the next test's pipe.
    for thread in set(threading.enumerate()) - others:
        if thread.name == "log":
            thread.join(WITHIN)
    with contextlib.suppress(OSError):
        os.close(beginning)


@pytest.mark.usefixtures("patient")
def test_close_waits_for_queued_lines(pipe: tuple[int, int]) -> None:
    """They are written in order."""
    with logging_to(pipe[1]) as logger:
        for number in range(20):
            logger.warning("line %d", number)
    lines = [json.loads(line)["event"] for line in os.read(pipe[0], 65536).splitlines()]
    assert lines == [f"line {number}" for number in range(20)]


@pytest.mark.usefixtures("patient")
def test_close_waits_for_a_slow_reader(pipe: tuple[int, int]) -> None:
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


def test_logging_does_not_block_on_a_pipe_that_is_not_read(pipe: tuple[int, int]) -> None:
    """Lines beyond the limit in bytes are dropped, and counted once something reads."""
    written = MAX_BYTES // len(LONG)
    with logging_to(pipe[1]) as logger:
        # The thread blocks before the first line is dropped, so one line reports all of them.
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
    """Log until a pipe is full, and return the number of lines."""
    for number in count():
        if not select.select([], [descriptor], [], 0)[1]:
            return number
        logger.warning(LONG)
        time.sleep(0)  # its thread may write
    raise AssertionError


class Reader(threading.Thread):
    """Reads a pipe on a thread of its own.

    Attributes:
        dropped: the number of dropped lines, once it is reported.
        count: number of lines read.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.dropped = Future[int]()
        self.count = 0
        self._descriptor = descriptor
        self._more = threading.Condition()
        self.start()

    def run(self) -> None:
        """Read until the writing end is closed."""
        with open(self._descriptor, closefd=False) as file:
            for line in file:
                parsed = json.loads(line)
                if parsed["event"] == "log lines dropped":
                    self.dropped.set_result(parsed["lines"])
                with self._more:
                    self.count += 1
                    self._more.notify_all()

    def lines(self, number: int) -> bool:
        """Wait for *number* lines, and return whether they were read."""
        with self._more:
            return self._more.wait_for(lambda: self.count >= number, WITHIN)


def test_close_does_not_block_on_a_pipe_that_is_not_read(pipe: tuple[int, int]) -> None:
    """The lines are lost after FLUSH_TIMEOUT."""
    with logging_to(pipe[1]) as logger:
        for _ in range(200):
            logger.warning(LONG)


@pytest.mark.parametrize("length", [1, 8_000])
def test_a_full_queue_needs_little_more_memory_than_its_limit(
    length: int, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With short lines and with long ones of several bytes a character."""
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


def test_a_closed_pipe_raises_no_exception(pipe: tuple[int, int]) -> None:
    """Neither in the caller nor on the thread."""
    os.close(pipe[0])
    with logging_to(pipe[1]) as logger:
        logger.warning("is the pipe open?")


class LimitedFile(io.FileIO):
    """Writes as many bytes as *takes* says for each call, as a full disk does; then everything."""

    takes: ClassVar[list[int | None]] = []

    def write(self, data: "ReadableBuffer") -> int:
        """Write as many bytes as the next item of *takes* says."""
        if not self.takes:
            return super().write(data)
        take = self.takes.pop(0)
        return take and super().write(memoryview(data)[:take])  # type: ignore[return-value]


@pytest.mark.usefixtures("patient")
def test_a_line_after_a_torn_one_starts_on_a_new_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the lost line is reported."""
    monkeypatch.setattr("app.logs.handler.io.FileIO", LimitedFile)
    monkeypatch.setattr(LimitedFile, "takes", [10, None])
    with logging_to(pipe[1]) as logger:
        logger.warning("torn")
        logger.warning("whole")
    torn, *lines = os.read(pipe[0], 65536).splitlines()
    assert len(torn) == 10
    assert [json.loads(line)["event"] for line in lines] == ["whole", "log lines dropped"]


@pytest.mark.usefixtures("patient")
def test_a_loss_that_can_not_be_reported_yet_is_reported_later(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, has room for a line, is full again, and has room."""
    monkeypatch.setattr("app.logs.handler.io.FileIO", LimitedFile)
    monkeypatch.setattr(LimitedFile, "takes", [None, 1000, None])
    with logging_to(pipe[1]) as logger:
        for event in ("lost", "room", "and more"):
            logger.warning(event)
    lines = [json.loads(line) for line in os.read(pipe[0], 65536).splitlines()]
    assert [line["event"] for line in lines] == ["room", "and more", "log lines dropped"]
    assert lines[-1]["lines"] == 1


@pytest.mark.usefixtures("patient")
def test_lost_lines_leave_room_in_the_queue(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for more lines than the queue holds."""
    monkeypatch.setattr("app.logs.handler.MAX_BYTES", 1000)
    monkeypatch.setattr("app.logs.handler.io.FileIO", LimitedFile)
    monkeypatch.setattr(LimitedFile, "takes", [None] * 20)
    with logging_to(pipe[1]) as logger:
        for left in reversed(range(20)):
            logger.warning("lost")
            while len(LimitedFile.takes) > left:
                time.sleep(0)  # its thread tries to write
        logger.warning("room")
    lines = [json.loads(line) for line in os.read(pipe[0], 65536).splitlines()]
    assert [line["event"] for line in lines] == ["room", "log lines dropped"]
    assert lines[-1]["lines"] == 20


@pytest.mark.usefixtures("patient")
def test_a_character_that_can_not_be_encoded_becomes_a_question_mark(pipe: tuple[int, int]) -> None:
    """A traceback may have half a surrogate pair from a file name."""
    with logging_to(pipe[1]) as logger:
        logger.handlers[0].setFormatter(logging.Formatter())
        logger.warning("\udcff")
        logger.warning("on")
    os.close(pipe[1])
    assert os.read(pipe[0], 65536).splitlines() == [b"?", b"on"]


@pytest.mark.usefixtures("patient")
def test_a_record_that_can_not_be_formatted_is_dropped_and_counted(pipe: tuple[int, int]) -> None:
    """A bug in a log call must not harm its caller."""
    with logging_to(pipe[1]) as logger:
        logger.warning("%d lines", "not a number")
        logger.warning("on")
    events = [json.loads(line)["event"] for line in os.read(pipe[0], 65536).splitlines()]
    assert events == ["on", "log lines dropped"]


def test_logging_while_a_line_is_queued_does_not_deadlock(
    pipe: tuple[int, int],
) -> None:
    """The garbage collector may run at any time, and asyncio then logs errors of tasks."""
    reader, more = Reader(pipe[0]), iter(range(2000))
    logger = logging.Logger("vitals")  # noqa: LOG001 - a logger that no other test uses

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        for number in islice(more, len(logger.handlers)):
            logger.warning("line %d", number)
        return trace

    before = threading.gettrace()
    threading.settrace(trace)  # only for threads that start from now on
    try:
        handler = NonBlockingHandler(pipe[1])
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        threading.Thread(target=logger.warning, args=("on",), daemon=True).start()
        assert reader.lines(2001)
    finally:
        threading.settrace(before)
    handler.close()
    os.close(pipe[1])
    reader.join()
