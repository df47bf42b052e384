"""The file that takes an instance out of rotation while it exists."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from app.background import repeated
from app.lifecycle import Lifecycle


def watch_file(file: Path, lifecycle: Lifecycle) -> AbstractContextManager[None]:
    """Look for the file each second."""

    def look() -> None:
        lifecycle.maintenance = os.path.exists(file)  # noqa: PTH110 - it never raises

    return repeated(look, "maintenance")
