"""`vitals maintenance`: take this instance out of rotation, or put it back."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from app.cli import FILE, option, parse_port
from app.settings.model import default_file


@click.group(no_args_is_help=False)
def maintenance() -> None:
    """Take this instance out of rotation, or put it back."""


file_option = option(
    "--file",
    type=FILE,
    metavar="FILE",
    envvar="MAINTENANCE_FILE",
    show_default="vitals-PORT.maintenance in the temporary folder",
    help="The maintenance file.",
)
port_option = option(
    "--port",
    type=parse_port,
    metavar="PORT",
    envvar="PORT",
    default="8000",
    help="The port of the instance.",
)


@maintenance.command()
@file_option
@port_option
def on(file: Path | None, port: int) -> None:
    """Take this instance out of rotation.

    Readiness fails within 2 seconds. Everything else continues.
    """
    switch("on", "exists", create, file or default_file(port))


@maintenance.command()
@file_option
@port_option
def off(file: Path | None, port: int) -> None:
    """Put this instance back into rotation.

    Readiness follows the checks again within 2 seconds.
    """
    switch("off", "does not exist", remove, file or default_file(port))


def switch(state: str, result: str, change: Callable[[Path], bool], file: Path) -> None:
    """Change the file, and print the result."""
    try:
        already = "" if change(file) else " already"
    except OSError as error:
        raise click.ClickException(
            f"Can't turn maintenance {state}: {file}: {error.strerror}."
        ) from None
    click.echo(f"Maintenance is {state}{already}: {file} {result}.")


def create(file: Path) -> bool:
    """Create the file, and return whether it is new. A symbolic link is never followed."""
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


def remove(file: Path) -> bool:
    """Remove the file, and return whether it existed."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
