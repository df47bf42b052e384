"""The file that takes an instance out of rotation while it exists."""

import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path

from app.background import repeated
from app.lifecycle import Lifecycle


logger = logging.getLogger("vitals")


def watch_file(file: Path, lifecycle: Lifecycle) -> AbstractContextManager[None]:
    """Look for the file each second."""

    def look() -> None:
        before = lifecycle.maintenance
        lifecycle.maintenance = there = os.path.exists(file)  # noqa: PTH110 - it never raises
        if there is not before:
            event = "maintenance began" if there else "maintenance ended"
            logger.info(event, extra={"file": str(file)})

    return repeated(look, "maintenance")
