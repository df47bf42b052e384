"""What goes on beside the requests."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator


logger = logging.getLogger("vitals")


@contextlib.contextmanager
def run_periodically(look: Callable[[], None], name: str, *, every: float = 1.0) -> Iterator[None]:
    """Look now and every so many seconds, at files that may change or at what should go on.

    On a thread that nobody waits for: a file may lie on a share that hangs. A look that fails is
    told, the first of several in a row, and the next one is made all the same.
    """
    over = threading.Event()

    def run() -> None:
        failed = False
        while True:
            try:
                look()
                failed = False
            except Exception:
                if not failed:
                    logger.exception("periodic task failed", extra={"task": name})
                failed = True
            if over.wait(every):
                return

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield
    finally:
        over.set()
