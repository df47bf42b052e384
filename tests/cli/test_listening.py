import errno
import os
import socket

import pytest
import typer

from app.cli.serve import addresses, listen, remedy
from tests.cli.conftest import Result, end, start
from tests.ports import free_port


def served(host: str = "127.0.0.1", port: int = 0) -> Result:
    """Serve with nothing wrong but what is given."""
    where = {"HOST": host, "PORT": str(port or free_port())}
    process = start("serve", REDIS_URL="redis://127.0.0.1:1", REDIS_AUTH="none", **where)  # type: ignore[arg-type]  # settings alone
    return end(process)


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("nonsense..x", "HOST can't be a name: correct it, or unset it"),
        (
            "-vitals",  # no name server need be asked
            (
                "HOST can't be listened on (Name or service not known): "
                "set it to an address of this machine, or unset it"
            ),
        ),
        (
            "203.0.113.9",
            (
                "HOST can't be listened on (Cannot assign requested address): "
                "set it to an address of this machine, or unset it"
            ),
        ),
    ],
)
def test_a_host_that_is_not_here_is_told(host: str, line: str) -> None:
    """As any bad setting is, before anything has begun."""
    assert served(host) == (78, "", f"vitals: {line}\n")


def test_a_port_that_is_taken_is_told() -> None:
    """That is no bad setting, as it may pass: the exit code is another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = served(port=port)
    assert result == (1, "", f"vitals: PORT {port} is taken: set PORT to another\n")


def test_the_last_port_has_no_next() -> None:
    """Whatever stands behind the last is not tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65535))
        with pytest.raises(typer.TyperException, match="no port from 65535 on is free"):
            listen("127.0.0.1", 65535, most=2)


def test_a_port_for_the_privileged_is_told() -> None:
    """The address is right, so it is the port that has to change."""
    error = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert remedy(error, 80) == "PORT 80 needs a privilege: set it above 1023"


def test_a_name_that_is_listed_twice_is_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hosts file may say the same twice, and a socket can't be bound twice."""
    twice = socket.getaddrinfo("127.0.0.1", 8000, type=socket.SOCK_STREAM) * 2
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: twice)
    assert list(addresses("here", 8000)) == [(socket.AF_INET, ("127.0.0.1", 8000))]


def test_every_address_is_listened_on_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been bound when another fails is let go."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host in ("127.0.0.1", "203.0.113.9")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(typer.TyperException):
        listen("here", port)
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("others", [["127.0.0.1"], []])
def test_an_address_of_ipv6_that_is_not_here_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, others: list[str]
) -> None:
    """As that of localhost is in a container, but not if it is the only one."""
    port = free_port()
    found: list[tuple[object, ...]] = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0)),
        *[(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in others],
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    if not others:
        with pytest.raises(typer.TyperException, match="HOST can't be listened on"):
            listen("here", port)
        return
    (listener,) = listen("here", port)
    with listener:
        assert listener.getsockname() == ("127.0.0.1", port)
