"""A log handler that never blocks its caller."""

import contextlib
import io
import logging
import queue
import threading


# Bytes of lines that may wait to be written: hours of typical output.
MAX_BYTES = 4 * 1024 * 1024

# Seconds that `close` waits for lines that are not written yet.
FLUSH_TIMEOUT = 0.5


class NonBlockingHandler(logging.Handler):
    """Writes lines on a thread of its own, so that logging never blocks the event loop.

    A write blocks while no one reads the pipe. If the pipe and the queue are full, or the disk is,
    lines are dropped. The next line that can be written is followed by a line with their number.

    Args:
        descriptor: the file descriptor to write to. A file object would not do: Python flushes
            those at exit, and that blocks.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._file = io.FileIO(descriptor, "w", closefd=False)
        # Its `put` is reentrant: a finalizer may log at any time.
        self._lines = queue.SimpleQueue[bytes | None]()
        # Each counter has one writer: the handler's lock protects those that `emit` changes.
        self._refused = self._failed = self._reported = 0
        self._queued_bytes = self._written_bytes = 0
        self._is_line_torn = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it if the queue is full."""
        try:
            line = self._encode(record)
        except Exception:  # noqa: BLE001 - a record that can't be formatted must not harm the caller
            line = None
        if line is None or self._queued_bytes - self._written_bytes + len(line) > MAX_BYTES:
            self._refused += 1
        else:
            self._queued_bytes += len(line)
            self._lines.put(line)

    def close(self) -> None:
        """Wait for queued lines, at most FLUSH_TIMEOUT."""
        self._lines.put(None)
        self._thread.join(FLUSH_TIMEOUT)
        super().close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._write(line)
            except OSError:
                self._failed += 1
            else:
                self._report_dropped()
            self._written_bytes += len(line)

    def _encode(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="replace")

    def _write(self, line: bytes) -> None:
        # A full disk may have torn off the last line. The next one starts on a line of its own.
        data = memoryview(b"\n" + line if self._is_line_torn else line)
        while data:
            written = self._file.write(data)
            if written is None:  # a non-blocking descriptor is full
                raise BlockingIOError
            data = data[written:]
            self._is_line_torn = bool(data)

    def _report_dropped(self) -> None:
        if dropped := self._refused + self._failed - self._reported:
            record = logging.LogRecord(
                "vitals", logging.WARNING, "", 0, "log lines dropped", None, None
            )
            record.lines = dropped
            with contextlib.suppress(OSError):
                self._write(self._encode(record))
                self._reported += dropped
