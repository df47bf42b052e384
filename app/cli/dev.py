"""`vitals dev`: run the service with its own servers, and delete them at the end."""

import multiprocessing
import os
import signal
import socket
import threading
from ipaddress import ip_address
from pathlib import Path
from types import FrameType

import click
from uvicorn import Config
from uvicorn.supervisors import ChangeReload

import app
from app.cli.check import local_url
from app.cli.serve import listen, read_settings, run
from app.settings import Settings


try:
    from tests.support.devservers import EmbeddedServerError, Postgres, Valkey
except ModuleNotFoundError:  # the wheel and the image don't have it
    raise click.ClickException(
        "vitals dev needs a checkout with the development tools:"
        " clone the repository and run `make run` in it."
    ) from None


# How many ports are tried, from PORT on.
PORT_ATTEMPTS = 100


@click.command()
@click.option("--reload", is_flag=True, help="Restart when the code changes.")
def dev(*, reload: bool) -> None:
    """Run the service with its own PostgreSQL and Redis-compatible server.

    Both servers and their data are deleted at the end.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        signal.signal(signal.SIGHUP, interrupt)
    try:
        with Postgres() as postgres, Valkey() as valkey:
            set_environment(postgres, valkey)
            settings = read_settings()
            sockets = listen(settings.host, settings.port, PORT_ATTEMPTS)
            port = sockets[0].getsockname()[1]
            click.echo(format_greeting(settings.host, port, settings.port, valkey.pid))
            os.environ.update(PORT=str(port))  # the name of the maintenance file has it
            serve = run_with_reload if reload else run_once
            serve(read_settings(), sockets)
    except EmbeddedServerError as error:
        raise click.ClickException(str(error)) from None


def interrupt(number: int, frame: FrameType | None) -> None:
    """Exit as on Ctrl-C: the terminal was closed, and the service ignores SIGHUP."""
    del number, frame
    signal.raise_signal(signal.SIGINT)


def set_environment(postgres: Postgres, valkey: Valkey) -> None:
    """Name both servers in the environment, where a restarted process finds them too."""
    os.environ.update(
        DATABASE_URL=postgres.url,
        POSTGRES_PASSWORD_FILE=str(postgres.password_file),
        REDIS_URL=valkey.url,
        REDIS_PASSWORD_FILE=str(valkey.password_file),
        # What the shell has set is for other servers.
        DATABASE_URL_FILE="",
        REDIS_URL_FILE="",
        POSTGRES_AUTH="",
        REDIS_AUTH="",
        POSTGRES_PASSWORD="",
        REDIS_PASSWORD="",
        SECRETS_DIR=str(postgres.folder),
    )
    os.environ.setdefault("DRAIN_SECONDS", "0")
    os.environ.setdefault("LOG_FORMAT", "console")


def run_once(settings: Settings, sockets: list[socket.socket]) -> None:
    """Run the service. Every client is an operator if it listens on loopback addresses only."""
    addresses = [ip_address(listener.getsockname()[0]) for listener in sockets]
    run(settings, sockets, trust_all_clients=all(address.is_loopback for address in addresses))


def run_with_reload(settings: Settings, sockets: list[socket.socket]) -> None:
    """Run the service in a process that restarts when the code changes."""
    del settings  # the process reads its own
    code = str(Path(app.__file__).parent)
    config = Config("app.main:app", reload=True, reload_dirs=[code], log_config=None)
    ChangeReload(config, run_reloaded, sockets).run()


def run_reloaded(sockets: list[socket.socket] | None) -> None:
    """Run the service until the parent process ends it, or ends itself."""
    parent = multiprocessing.parent_process()
    assert parent  # noqa: S101 - it has started this process
    os.setsid()  # Ctrl-C reaches the parent alone, which then ends this process
    threading.Thread(target=exit_with_parent, args=(parent,), daemon=True).start()
    run_once(read_settings(), sockets or [])


def exit_with_parent(parent: multiprocessing.process.BaseProcess) -> None:
    """End this process when the parent has ended, even if it was killed."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def format_greeting(host: str, port: int, configured_port: int, redis_pid: int) -> str:
    """Return what to try first, with the URL of the service."""
    in_use = f"Port {configured_port} is in use. Using {port}.\n" if port != configured_port else ""
    url = local_url(host, str(port))
    return (
        f"{in_use}Vitals is running with its own PostgreSQL and Redis. Try in another shell:\n"
        f"  curl {url}/health\n"
        f"  curl -I {url}/health/ready\n"
        f"  curl {url}/health/checks/postgres\n"
        f"  kill -STOP {redis_pid}    freezes the Redis, -CONT resumes it\n"
        f"Ctrl-C stops the service and both servers."
    )
