"""`vitals maintenance`: take this instance out of rotation, or put it back."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import click

from app.cli import FILE, option, parse_port
from app.cli.check import fetch_within_timeout, local_url
from app.settings.model import default_file


# Seconds in which an instance notices the file, and from one question to the next.
NOTICED_WITHIN = 3.0
POLL_INTERVAL = 0.1


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
host_option = option(
    "--host", metavar="HOST", envvar="HOST", default="127.0.0.1", help="Where the instance listens."
)


@maintenance.command()
@file_option
@port_option
@host_option
def on(file: Path | None, port: int, host: str) -> None:
    """Take this instance out of rotation.

    Readiness fails within 2 seconds. Everything else continues. Exits with 1 if the instance does
    not notice.
    """
    switch("on", "exists", create, file or default_file(port))
    confirm(local_url(host, str(port)), is_on=True)


@maintenance.command()
@file_option
@port_option
@host_option
def off(file: Path | None, port: int, host: str) -> None:
    """Put this instance back into rotation.

    Readiness follows the checks again within 2 seconds. Exits with 1 if the instance does not
    notice.
    """
    switch("off", "does not exist", remove, file or default_file(port))
    confirm(local_url(host, str(port)), is_on=False)


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


def confirm(url: str, *, is_on: bool) -> None:
    """Wait until the instance has noticed the change, or exit with 1."""
    deadline = time.monotonic() + NOTICED_WITHIN
    while (noticed := is_in_maintenance(url)) is not None and noticed != is_on:
        if time.monotonic() > deadline:
            click.echo(
                f"vitals: The instance at {url} has not noticed: it reads another file. Run this"
                " command where the instance runs, with its PORT and MAINTENANCE_FILE.",
                err=True,
            )
            sys.exit(1)
        time.sleep(POLL_INTERVAL)
    unknown = f"Not confirmed: no instance shows its phase at {url}."
    click.echo(unknown if noticed is None else f"The instance at {url} has noticed.")


def is_in_maintenance(url: str) -> bool | None:
    """Return whether an instance is in maintenance; None if none answers or shows its phase."""
    with contextlib.suppress(OSError, HTTPException, ValueError):
        match json.loads(fetch_within_timeout(urlsplit(url), "/health/ready")[1]):
            case {"phase": str(phase)}:
                return phase == "maintenance"
    return None
