"""`vitals maintenance`: take this instance out of rotation, or put it back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.cli import parse_port
from app.settings.model import default_file


@click.group(no_args_is_help=False)
def maintenance() -> None:
    """Take this instance out of rotation, or put it back."""


def instance_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name an instance."""
    port = click.option(
        "--port",
        type=parse_port,
        metavar="PORT",
        envvar="PORT",
        default="8000",
        help="The port of the instance.",
        show_default=True,
        show_envvar=True,
    )
    file = click.option(
        "--file",
        type=click.Path(path_type=Path, readable=False),
        metavar="FILE",
        envvar="MAINTENANCE_FILE",
        help="The maintenance file.",
        show_default="vitals-PORT.maintenance in the temporary folder",
        show_envvar=True,
    )
    return file(port(command))


@maintenance.command()
@instance_options
def on(file: Path | None, port: int) -> None:
    """Take this instance out of rotation.

    Readiness fails within 2 seconds. Everything else continues.
    """
    file = file or default_file(port)
    try:
        already = "" if create(file) else " already"
    except OSError as error:
        raise click.ClickException(
            f"Can't turn maintenance on: {file}: {error.strerror}."
        ) from None
    click.echo(f"Maintenance is on{already}: {file} exists.")


@maintenance.command()
@instance_options
def off(file: Path | None, port: int) -> None:
    """Put this instance back into rotation.

    Readiness follows the checks again within 2 seconds.
    """
    file = file or default_file(port)
    try:
        already = "" if remove(file) else " already"
    except OSError as error:
        raise click.ClickException(
            f"Can't turn maintenance off: {file}: {error.strerror}."
        ) from None
    click.echo(f"Maintenance is off{already}: {file} does not exist.")


def create(file: Path) -> bool:
    """Create the file, and return whether it is new. A symbolic link is never followed.

    Raises:
        OSError: it can't be created, or something other than a file has its name.
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


def remove(file: Path) -> bool:
    """Remove the file, and return whether it existed.

    Raises:
        OSError: it can't be removed.
    """
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
