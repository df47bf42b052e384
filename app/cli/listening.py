"""The sockets that the service listens on, bound before anything else is started."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import typer


HIGHEST_PORT = 65535

# What is said of an address whose family is not in use here.
ABSENT = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


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
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                raise misconfigured(remedy(error, tried)) from None
    taken = f"PORT {port} is taken" if most == 1 else f"no port from {port} on is free"
    msg = f"{taken}: set PORT to another"
    raise typer.TyperException(msg)


def bound(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host, or on none.

    A name may have an address of IPv6 where there is no IPv6, as localhost has in most containers:
    that one is passed over, if there is another.

    Raises:
        OSError: one of them can't be listened on.
        UnicodeError: the host can't be a name.

    """
    sockets = list[socket.socket]()
    absent = None
    with ExitStack() as stack:
        for family, address in addresses(host, port):
            try:
                listener = socket.create_server(address, family=family)
            except OSError as error:
                if family != socket.AF_INET6 or error.errno not in ABSENT:
                    raise
                absent = error
            else:
                sockets.append(stack.enter_context(listener))
        if absent and not sockets:
            raise absent
        stack.pop_all()
    return sockets


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
    return f"HOST can't be listened on ({words}): set it to an address of this machine"


def misconfigured(line: str) -> typer.TyperException:
    """Make an error that ends the program as any bad setting does."""
    error = typer.TyperException(line)
    error.exit_code = os.EX_CONFIG
    return error
