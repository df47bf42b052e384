"""Where the file is looked for that takes an instance out of rotation."""

import tempfile
from pathlib import Path


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
