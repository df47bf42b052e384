"""`vitals serve`: the service on the dependencies that the environment names."""

import signal
import socket
import sys
from types import FrameType
from typing import TYPE_CHECKING

import typer


if TYPE_CHECKING:
    from app.settings import Settings


# EX_CONFIG of sysexits.h: something was found in an unconfigured or misconfigured state.
BAD_CONFIGURATION = 78


def serve() -> None:
    """Serve on HOST and PORT until told to stop."""
    # The imports take a while, and as the first process of a container a program is not even
    # ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, leave)
    run(read_settings())


def leave(number: int, frame: FrameType | None) -> None:
    """Go without having begun."""
    del number, frame
    sys.exit()


def read_settings() -> "Settings":
    """Read the settings, or say what is wrong with them and exit."""
    from app.settings import ConfigurationError, load

    try:
        return load()
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(f"vitals: {problem}", err=True)
        raise typer.Exit(BAD_CONFIGURATION) from None


def run(settings: "Settings", listener: socket.socket | None = None) -> None:
    """Serve, on a socket that is bound already if there is one."""
    from app import logs
    from app.application import create_app
    from app.server import server

    console = "console" if sys.stderr.isatty() else "json"
    logs.configure(settings.log_level, settings.log_format or console)
    server(create_app(lambda: settings), settings).run([listener] if listener else None)
