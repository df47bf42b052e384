"""Periodic tasks on threads."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator


logger = logging.getLogger("vitals")


@contextlib.contextmanager
def run_periodically(task: Callable[[], None], name: str, *, every: float = 1.0) -> Iterator[None]:
    """Call *task* now and every *every* seconds, on a thread, until the block ends.

    Leaving the block does not wait for the thread: the task may read a file on a share that hangs.
    If the task raises, it is called again all the same. Only the first of consecutive errors is
    logged.
    """
    stopped = threading.Event()

    def run() -> None:
        has_failed = False
        while True:
            try:
                task()
                has_failed = False
            except Exception:
                if not has_failed:
                    logger.exception("periodic task failed", extra={"task": name})
                has_failed = True
            if stopped.wait(every):
                return

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield
    finally:
        stopped.set()
