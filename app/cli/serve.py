"""`vitals serve`: run the service with the settings of the environment."""

import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from app.cli import HIGHEST_PORT, InvalidSettings, format_url
from app.signals import LIKE_SIGTERM, ignore


ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104  # used only if HOST is one of them

# The errors of an address whose family this machine does not use.
UNSUPPORTED = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

STDERR = 2

logger = logging.getLogger("vitals")


if TYPE_CHECKING:
    from app.settings import Settings


@click.command()
def serve() -> None:
    """Run the service on HOST and PORT."""
    # The imports below take a while. Process 1 of a container is not ended by a signal without a
    # handler.
    for number in (signal.SIGINT, signal.SIGTERM, *LIKE_SIGTERM):
        signal.signal(number, exit_now)
    ignore()
    fill_standard_descriptors()
    settings = read_settings()
    run(settings, listen(settings.host, settings.port))


def exit_now(number: int, frame: FrameType | None) -> NoReturn:
    """Exit before the service has started. A callback in an import could swallow an exception."""
    del number, frame
    os._exit(os.EX_OK)


def fill_standard_descriptors() -> None:
    """Open closed ones at /dev/null: libuv aborts if a socket gets one of their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(number)


def read_settings() -> "Settings":
    """Read the settings and set up the log, or print the problems and exit."""
    from app import logs

    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    return settings


def load_settings() -> "Settings":
    """Read the settings, or print the problems and exit."""
    from app.settings import ConfigurationError, load

    try:
        return load()
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(f"vitals: {problem}", err=True)
        sys.exit(os.EX_CONFIG)


def run(
    settings: "Settings", sockets: list[socket.socket], *, trust_all_clients: bool = False
) -> None:
    """Run the service on sockets that listen already."""
    from app.application import create_app
    from app.server.server import create_server
    from app.settings.loading import find_misspelled

    for variable, similar in find_misspelled(secrets=settings.secret_names).items():
        logger.warning(
            "environment variable unknown", extra={"variable": variable, "similar": similar}
        )
    application = create_app(lambda: settings, trust_all_clients=trust_all_clients)
    application.state.addresses = [format_url(*one.getsockname()[:2]) for one in sockets]
    create_server(application, settings).run(sockets)


def listen(host: str, port: int, attempts: int = 1) -> list[socket.socket]:
    """Listen on every address of a host, on the first free port from *port* on."""
    for candidate in range(port, min(port + attempts, HIGHEST_PORT + 1)):
        try:
            return bind(host, candidate)
        except (OSError, UnicodeError) as error:
            if lacks_ipv6(host, error):
                logger.warning("IPv6 unavailable", extra={"host": host, "fallback": ANY_IPV4})
                return listen(ANY_IPV4, port, attempts)
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise InvalidSettings(describe_bind_error(error, candidate)) from None
    problem = f"port {port} is in use" if attempts == 1 else f"no port from {port} on is free"
    raise click.ClickException(f"PORT: {problem}. Set PORT to another port.")


def find_bind_problems(host: str, port: int) -> list[str]:
    """Return the error that `listen` would raise, unless it is that the port is in use."""
    try:
        bind(host, port, listens=False)
    except (OSError, UnicodeError) as error:
        if lacks_ipv6(host, error):
            return find_bind_problems(ANY_IPV4, port)
        if getattr(error, "errno", None) != errno.EADDRINUSE:
            return [describe_bind_error(error, port)]
    return []


def bind(host: str, port: int, *, listens: bool = True) -> list[socket.socket]:
    """Bind a socket to every address of a host, or to none.

    A name may have an IPv6 address on a machine without IPv6, such as localhost in most containers.
    That address is skipped if there is another.

    Args:
        listens: whether the sockets listen and stay open. Otherwise they are closed again.
    """
    sockets = list[socket.socket]()
    unsupported = None
    with ExitStack() as stack:
        for family, address in resolve(host, port):
            try:
                sockets.append(stack.enter_context(bind_socket(family, address)))
            except OSError as error:
                if family != socket.AF_INET6 or error.errno not in UNSUPPORTED:
                    raise
                unsupported = error
        if unsupported and not sockets:
            raise unsupported
        if listens:
            for listener in sockets:
                listener.listen()
            stack.pop_all()
    return sockets


def bind_socket(family: int, address: Any) -> socket.socket:
    """Bind a socket to one address. `::` includes every IPv4 address."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != ANY_IPV6)
        listener.bind(address)
        stack.pop_all()
    return listener


def lacks_ipv6(host: str, error: Exception) -> bool:
    """Return whether binding `::` failed because the machine has no IPv6."""
    return host == ANY_IPV6 and getattr(error, "errno", None) in UNSUPPORTED


def resolve(host: str, port: int) -> Iterator[tuple[int, Any]]:
    """Yield each address of a host once. A hosts file may list one twice."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, *_, address in dict.fromkeys(found):
        yield family, address


def describe_bind_error(error: OSError | UnicodeError, port: int) -> str:
    """Return which setting is wrong, and what to do."""
    if isinstance(error, UnicodeError):
        return "HOST: not a valid host name. Correct it or unset it."
    if error.errno == errno.EACCES:
        return f"PORT: port {port} needs a privilege. Set PORT to a port above 1023."
    cause = str(error.strerror).partition(" (")[0]
    return (
        f"HOST: can't listen on this address ({cause}). Set HOST to an address of this machine, "
        "or unset it."
    )
