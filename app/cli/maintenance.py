"""`vitals maintenance`: takes this instance out of rotation and puts it back."""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.settings.model import default_file


File = Annotated[
    Path | None,
    typer.Option(
        envvar="MAINTENANCE_FILE",
        readable=False,
        help="The file that says so.",
        show_default="vitals-PORT.maintenance in the temporary folder",
    ),
]
Port = Annotated[
    int, typer.Option(envvar="PORT", min=1, max=65535, help="The port of the instance.")
]


def on(file: File = None, port: Port = 8000) -> None:
    """Take this instance out of rotation.

    Within 2 seconds readiness says no; all else goes on.
    """
    file = file or default_file(port)
    try:
        already = "" if made(file) else " already"
    except OSError as error:
        msg = f"maintenance can't be turned on: {file}: {error.strerror}"
        raise typer.TyperException(msg) from None
    typer.echo(f"maintenance is on{already}: {file} is there")


def off(file: File = None, port: Port = 8000) -> None:
    """Put this instance back.

    Within 2 seconds readiness says again what the checks say.
    """
    file = file or default_file(port)
    try:
        already = "" if removed(file) else " already"
    except OSError as error:
        msg = f"maintenance can't be turned off: {file}: {error.strerror}"
        raise typer.TyperException(msg) from None
    typer.echo(f"maintenance is off{already}: {file} is gone")


def made(file: Path) -> bool:
    """Make the file; tell whether there was none.

    Raises:
        OSError: it can't be made, or something else is in its place; a link is never followed.

    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = os.open(file, flags, 0o644)
    except FileExistsError:
        if file.is_symlink() or not file.is_file():
            raise
        return False
    os.fchmod(descriptor, 0o644)
    os.close(descriptor)
    return True


def removed(file: Path) -> bool:
    """Remove the file; tell whether there was one.

    Raises:
        OSError: it can't be removed.

    """
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


COMMANDS = (on, off)
