"""What goes on beside the requests."""

import contextlib
import threading
from collections.abc import Callable, Iterator


# Seconds between two looks.
LOOK_EVERY = 1


@contextlib.contextmanager
def each_second(look: Callable[[], None], name: str) -> Iterator[None]:
    """Look now and each second, at files that may change.

    On a thread that nobody waits for: a file may lie on a share that hangs.
    """
    over = threading.Event()

    def run() -> None:
        while True:
            look()
            if over.wait(LOOK_EVERY):
                return

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        yield
    finally:
        over.set()
