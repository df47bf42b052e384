"""`vitals serve`: the service on the dependencies that the environment names."""

import os
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from app.cli.listening import listen
from app.lifecycle.signals import LIKE_SIGTERM, ignore


if TYPE_CHECKING:
    from app.settings import Settings


STDERR = 2


def serve() -> None:
    """Serve on HOST and PORT until told to stop."""
    # The imports take a while, and as the first process of a container a program is not even
    # ended by a signal that it does not handle.
    for number in (signal.SIGINT, signal.SIGTERM, *LIKE_SIGTERM):
        signal.signal(number, leave)
    ignore()
    fill_standard_descriptors()
    settings = read_settings()
    run(settings, listen(settings.host, settings.port))


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """Go without having begun; an exception could be lost in whatever an import calls back."""
    del number, frame
    os._exit(os.EX_OK)


def fill_standard_descriptors() -> None:
    """Open those that were closed: a connection would get their numbers, and libuv abort."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(number)


def read_settings() -> "Settings":
    """Read the settings and set the log up, or print what is wrong with them and exit."""
    from app import logs
    from app.settings import ConfigurationError, load

    try:
        settings = load()
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(f"vitals: {problem}", err=True)
        raise typer.Exit(os.EX_CONFIG) from None
    logs.configure(settings.log_level, settings.log_format)
    return settings


def run(settings: "Settings", sockets: list[socket.socket], *, everybody: bool = False) -> None:
    """Serve on sockets that are bound already, to operators or *everybody*."""
    from app.application import create_app
    from app.serving.server import server

    server(create_app(lambda: settings, everybody=everybody), settings).run(sockets)
