"""`vitals dev`: the service on real servers of its own, gone when it ends."""

import multiprocessing
import os
import signal
import socket
import threading
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from uvicorn import Config
from uvicorn.supervisors import ChangeReload

import app
from app.cli.check import listening
from app.cli.serve import listen, read_settings, run
from app.settings import Settings


try:
    from app.devservers import EmbeddedServerError, Postgres, Valkey
except ModuleNotFoundError:  # the wheel and the image don't have it
    msg = (
        "vitals dev needs a checkout with the development tools:"
        " clone the repository and run `make run` in it."
    )
    raise typer.TyperException(msg) from None


# How many ports are tried from PORT on.
MAX_PORTS = 100


def dev(
    *,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again whenever the code changes.")
    ] = False,
) -> None:
    """Serve on an embedded PostgreSQL and a Redis-compatible server, both gone at the end."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # with nohup it is ignored
        signal.signal(signal.SIGHUP, hang_up)
    try:
        with Postgres() as postgres, Valkey() as valkey:
            point_to(postgres, valkey)
            settings = read_settings()
            sockets = listen(settings.host, settings.port, MAX_PORTS)
            port = sockets[0].getsockname()[1]
            typer.echo(greeting(settings.host, port, settings.port, valkey.pid))
            os.environ.update(PORT=str(port))  # by it this instance's maintenance file is named
            serve = run_again if reload else run_once
            serve(read_settings(), sockets)
    except EmbeddedServerError as error:
        raise typer.TyperException(str(error)) from None


def hang_up(number: int, frame: FrameType | None) -> None:
    """End as at Ctrl-C: the terminal has been closed, and the service ignores SIGHUP."""
    del number, frame
    signal.raise_signal(signal.SIGINT)


def point_to(postgres: Postgres, valkey: Valkey) -> None:
    """Have the settings, which a process begun anew reads again, name both servers."""
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


def run_once(settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve; whoever is on this machine is an operator, as long as nobody else comes in."""
    addresses = [ip_address(listener.getsockname()[0]) for listener in sockets]
    run(settings, sockets, trust_all_clients=all(address.is_loopback for address in addresses))


def run_again(settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve in a process that is started again whenever the code changes."""
    del settings  # that process reads them
    code = str(Path(app.__file__).parent)
    config = Config("app.main:app", reload=True, reload_dirs=[code], log_config=None)
    ChangeReload(config, serve_once, sockets).run()


def serve_once(sockets: list[socket.socket] | None) -> None:
    """Serve until the code changes, or whoever watches it is no more."""
    watcher = multiprocessing.parent_process()
    assert watcher  # noqa: S101 - it is what has started this process
    os.setsid()  # Ctrl-C is for the watcher alone, who then ends this process
    threading.Thread(target=follow, args=(watcher,), daemon=True).start()
    run_once(read_settings(), sockets or [])


def follow(watcher: multiprocessing.process.BaseProcess) -> None:
    """End this process when its watcher has ended, even if that was killed."""
    watcher.join()
    os.kill(os.getpid(), signal.SIGTERM)


def greeting(host: str, port: int, wanted: int, redis: int) -> str:
    """Tell what to try; *redis* is the process that can be frozen."""
    taken = f"Port {wanted} is taken, so this is {port}.\n" if port != wanted else ""
    url = listening(host, str(port))
    return (
        f"{taken}Vitals serves on a real PostgreSQL and Redis of its own. Try, in another shell:\n"
        f"  curl {url}/health\n"
        f"  curl -I {url}/health/ready\n"
        f"  curl {url}/health/checks/postgres\n"
        f"  kill -STOP {redis}    freezes the Redis, -CONT mends it\n"
        f"Ctrl-C ends it and them."
    )
