"""The file that takes an instance out of rotation while it exists."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from app.lifecycle import Lifecycle


# Seconds between two looks.
LOOK_EVERY = 1


def default_file(port: int) -> Path:
    """Name the file of the instance on a port, where none is set."""
    return Path(tempfile.gettempdir(), f"vitals-{port}.maintenance")


@contextlib.contextmanager
def watched(file: Path, lifecycle: Lifecycle) -> Iterator[None]:
    """Look for the file each second.

    On a thread that nobody waits for: the file may lie on a share that hangs.
    """
    over = threading.Event()

    def look() -> None:
        while True:
            lifecycle.maintenance = os.path.exists(file)  # noqa: PTH110 - it never raises
            if over.wait(LOOK_EVERY):
                return

    threading.Thread(target=look, name="maintenance", daemon=True).start()
    try:
        yield
    finally:
        over.set()
