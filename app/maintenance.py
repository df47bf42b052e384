"""The file that takes an instance out of rotation while it exists."""

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from app.background import repeated
from app.lifecycle import Lifecycle


def default_file(port: int) -> Path:
    """Name the file of the instance on a port, where none is set.

    In the usual temporary folder where nothing can be written, or the disk is full: there may be no
    file then, but there is nothing wrong either.
    """
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        folder = "/tmp"  # noqa: S108 - nothing is made there
    return Path(folder, f"vitals-{port}.maintenance")


def watched(file: Path, lifecycle: Lifecycle) -> AbstractContextManager[None]:
    """Look for the file each second."""

    def look() -> None:
        lifecycle.maintenance = os.path.exists(file)  # noqa: PTH110 - it never raises

    return repeated(look, "maintenance")
