"""A log that nobody waits for."""

import contextlib
import io
import logging
import queue
import threading


# Bytes of the lines that may wait to be written: hours of what is usual.
MAX_BYTES = 4 * 1024 * 1024

# Seconds that the end waits for what is still to be written.
FLUSH_TIMEOUT = 0.5


class NonBlockingHandler(logging.Handler):
    """Has a thread write the lines, so that whoever logs waits for nothing.

    A write blocks while no one reads the pipe, and would block the event loop. Lines that can't be
    written, because the pipe and then the memory set aside are full, or the disk is, are dropped,
    and a line says how many when lines get through again.

    Args:
        descriptor: where to write. Not a file object: the end of the process would wait for what
            that holds.

    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._file = io.FileIO(descriptor, "w", closefd=False)
        # One that may be put into while it is put into: a finaliser may log anywhere.
        self._lines = queue.SimpleQueue[bytes | None]()
        # Each is counted by one thread at a time: whoever logs has the handler's lock.
        self._refused = self._failed = self._told = 0
        self._put = self._taken = 0
        self._torn = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put a line where the thread finds it."""
        try:
            line = self._encoded(record)
        except Exception:  # noqa: BLE001 - a line that can't be told is not the caller's business
            line = None
        if line is None or self._put - self._taken + len(line) > MAX_BYTES:
            self._refused += 1
        else:
            self._put += len(line)
            self._lines.put(line)

    def close(self) -> None:
        """Have what waits written, for as long as that may take."""
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
                self._confess()
            self._taken += len(line)

    def _encoded(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="replace")

    def _write(self, line: bytes) -> None:
        # A line may have been torn off where the disk was full: the next one begins anew.
        data = memoryview(b"\n" + line if self._torn else line)
        while data:
            # None: a descriptor that does not block is full.
            written = self._file.write(data)
            if written is None:
                raise BlockingIOError
            data = data[written:]
            self._torn = bool(data)

    def _confess(self) -> None:
        if dropped := self._refused + self._failed - self._told:
            told = {"name": "vitals", "levelname": "WARNING", "msg": "lines were dropped"}
            with contextlib.suppress(OSError):
                self._write(self._encoded(logging.makeLogRecord({**told, "lines": dropped})))
                self._told += dropped
