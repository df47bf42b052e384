"""`vitals dev`: the service on real servers of its own, gone when it ends."""

import errno
import os
import socket

import typer

from app.cli.serve import read_settings, run
from app.embedded import EmbeddedServerError, Postgres, Valkey
from app.settings import Settings


# How many ports are tried from PORT on.
MOST_PORTS = 100
HIGHEST_PORT = 65535


def dev() -> None:
    """Serve on an embedded PostgreSQL and a Redis-compatible server, both gone at the end."""
    try:
        with Postgres() as postgres, Valkey() as valkey:
            serve_on(postgres, valkey)
    except EmbeddedServerError as error:
        typer.echo(f"vitals: {error}", err=True)
        raise typer.Exit(1) from None


def serve_on(postgres: Postgres, valkey: Valkey) -> None:
    """Serve while both servers run."""
    os.environ.update(
        DATABASE_URL=postgres.url,
        POSTGRES_PASSWORD_FILE=str(postgres.password_file),
        REDIS_URL=valkey.url,
        REDIS_PASSWORD_FILE=str(valkey.password_file),
        # Whatever a shell or a container holds of a user's own is not meant for these servers.
        POSTGRES_PASSWORD="",
        REDIS_PASSWORD="",
        SECRETS_DIR=str(postgres.folder),
    )
    os.environ.setdefault("DRAIN_SECONDS", "0")
    os.environ.setdefault("LOG_FORMAT", "console")
    settings = read_settings()
    listener = listen(settings)
    typer.echo(greeting(settings.host, listener.getsockname()[1], settings.port))
    run(settings, listener)


def listen(settings: Settings) -> socket.socket:
    """Bind PORT, or the next free port if it is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    for port in range(settings.port, min(settings.port + MOST_PORTS, HIGHEST_PORT + 1)):
        try:
            return socket.create_server((settings.host, port), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                typer.echo(f"vitals: HOST can't be listened on: {error.strerror}", err=True)
                raise typer.Exit(1) from None
    typer.echo(f"vitals: no port from {settings.port} on is free: set PORT to another", err=True)
    raise typer.Exit(1)


def greeting(host: str, port: int, wanted: int) -> str:
    """Tell what to try."""
    taken = f"Port {wanted} is taken, so this is {port}.\n" if port != wanted else ""
    url = f"http://{host}:{port}"
    return (
        f"{taken}Vitals serves on a real PostgreSQL and Redis of its own. Try, in another shell:\n"
        f"  curl {url}/health\n"
        f"  curl -I {url}/health/ready\n"
        f"  curl {url}/health/checks/postgres\n"
        f"Ctrl-C ends it and them."
    )
