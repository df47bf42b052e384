"""`vitals serve`: the service on the dependencies that the environment names."""

import contextlib
import logging
import socket

import typer
import uvicorn

from app.application import create_app
from app.settings import ConfigurationError, Settings, load


# EX_CONFIG of sysexits.h: something was found in an unconfigured or misconfigured state.
BAD_CONFIGURATION = 78


def serve() -> None:
    """Serve on HOST and PORT until told to stop."""
    run(read_settings())


def read_settings() -> Settings:
    """Read the settings, or say what is wrong with them and exit."""
    try:
        return load()
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(f"vitals: {problem}", err=True)
        raise typer.Exit(BAD_CONFIGURATION) from None


def run(settings: Settings, listener: socket.socket | None = None) -> None:
    """Serve, on a socket that is bound already if there is one."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:     %(message)s")
    config = uvicorn.Config(
        create_app(lambda: settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
        uvicorn.Server(config).run([listener] if listener else None)
