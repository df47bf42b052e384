"""What goes on beside the requests."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def repeated(look: Callable[[], None], name: str, *, every: float = 1.0) -> Iterator[None]:
    """Look now and every so many seconds, at files that may change or at what should go on.

    On a thread that nobody waits for: a file may lie on a share that hangs.
    """
    over = threading.Event()

    def run() -> None:
        while True:
            look()
            if over.wait(every):
                return

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield
    finally:
        over.set()
