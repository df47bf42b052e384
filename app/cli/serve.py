"""`vitals serve`: the service on the dependencies that the environment names."""

import errno
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from app.signals import LIKE_SIGTERM, ignore


HIGHEST_PORT = 65535

ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104  # only where HOST says so

# What is said of an address whose family is not in use here.
ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

logger = logging.getLogger("vitals")


def listen(host: str, port: int, most: int = 1) -> list[socket.socket]:
    """Listen on every address of a host, at a port or, if that is taken, at one of the next.

    Args:
        most: how many ports are tried.

    Raises:
        typer.TyperException: it can't be done; one line with the remedy.

    """
    for tried in range(port, min(port + most, HIGHEST_PORT + 1)):
        try:
            return bound(host, tried)
        except (OSError, UnicodeError) as error:
            if lacks_ipv6(host, error):
                logger.warning("IPv6 unavailable", extra={"host": host, "fallback": ANY_IPV4})
                return listen(ANY_IPV4, port, most)
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise misconfigured(remedy(error, tried)) from None
    taken = f"PORT {port} is taken" if most == 1 else f"no port from {port} on is free"
    msg = f"{taken}: set PORT to another"
    raise typer.TyperException(msg)


def refused(host: str, port: int) -> list[str]:
    """Return the line with which `listen` would refuse, if it would, without listening.

    A port that is taken is no problem: the service that is examined may have taken it.
    """
    try:
        bound(host, port, listens=False)
    except (OSError, UnicodeError) as error:
        if lacks_ipv6(host, error):
            return refused(ANY_IPV4, port)
        if getattr(error, "errno", None) != errno.EADDRINUSE:
            return [remedy(error, port)]
    return []


def bound(host: str, port: int, *, listens: bool = True) -> list[socket.socket]:
    """Listen on every address of a host, or on none.

    A name may have an address of IPv6 where there is no IPv6, as localhost has in most containers:
    that one is passed over, if there is another.

    Args:
        listens: whether the sockets stay; otherwise they are only bound, and closed again.

    Raises:
        OSError: one of them can't be listened on.
        UnicodeError: the host can't be a name.

    """
    sockets = list[socket.socket]()
    absent = None
    with ExitStack() as stack:
        for family, address in addresses(host, port):
            try:
                sockets.append(stack.enter_context(opened(family, address)))
            except OSError as error:
                if family != socket.AF_INET6 or error.errno not in ABSENT:
                    raise
                absent = error
        if absent and not sockets:
            raise absent
        if listens:
            for one in sockets:
                one.listen()
            stack.pop_all()
    return sockets


def opened(family: int, address: Any) -> socket.socket:
    """Bind a socket to one address; `::` stands for every address of IPv4 as well."""
    with ExitStack() as stack:
        one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != ANY_IPV6)
        one.bind(address)
        stack.pop_all()
    return one


def lacks_ipv6(host: str, error: Exception) -> bool:
    """Return whether every address was meant, and there are only those of IPv4."""
    return host == ANY_IPV6 and getattr(error, "errno", None) in ABSENT


def addresses(host: str, port: int) -> Iterator[tuple[int, Any]]:
    """Tell the addresses of a host, each once, however often its name is listed."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, *_, address in dict.fromkeys(found):
        yield family, address


def remedy(error: OSError | UnicodeError, port: int) -> str:
    """Say which setting is wrong, and what to do."""
    if isinstance(error, UnicodeError):
        return "HOST can't be a name: correct it, or unset it"
    if error.errno == errno.EACCES:
        return f"PORT {port} needs a privilege: set it above 1023"
    words = str(error.strerror).partition(" (")[0]
    return f"HOST can't be listened on ({words}): set it to an address of this machine, or unset it"


def misconfigured(line: str) -> typer.TyperException:
    """Make an error that ends the program as any bad setting does."""
    error = typer.TyperException(line)
    error.exit_code = os.EX_CONFIG
    return error


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


def run(
    settings: "Settings", sockets: list[socket.socket], *, trust_all_clients: bool = False
) -> None:
    """Serve on sockets that are bound already, to operators or *everybody*."""
    from app.application import create_app
    from app.server.server import create_server

    application = create_app(lambda: settings, trust_all_clients=trust_all_clients)
    application.state.addresses = [address_of(one) for one in sockets]
    create_server(application, settings).run(sockets)


def address_of(listener: socket.socket) -> str:
    """Return the URL of a listener."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
