import errno
import os
import socket

import click
import pytest

from app.cli.serve import describe_bind_error, listen, resolve
from tests.support.ports import free_port
from tests.unit.cli.conftest import Result, end, start


def served(host: str = "127.0.0.1", port: int = 0) -> Result:
    """Serve with nothing wrong but what is given."""
    where = {"HOST": host, "PORT": str(port or free_port())}
    process = start("serve", REDIS_URL="redis://127.0.0.1:1", REDIS_AUTH="none", **where)  # type: ignore[arg-type]  # settings alone
    return end(process)


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("nonsense..x", "HOST: not a valid host name. Correct it or unset it."),
        (
            "-vitals",  # no name server need be asked
            (
                "HOST: can't listen on this address (Name or service not known). "
                "Set HOST to an address of this machine, or unset it."
            ),
        ),
        (
            "203.0.113.9",
            (
                "HOST: can't listen on this address (Cannot assign requested address). "
                "Set HOST to an address of this machine, or unset it."
            ),
        ),
    ],
)
def test_a_host_of_another_machine_is_reported(host: str, line: str) -> None:
    """Before anything starts, as any other invalid setting."""
    assert served(host) == (78, "", f"vitals: {line}\n")


def test_a_port_in_use_is_reported() -> None:
    """The exit code is 1, because the port may become free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = served(port=port)
    assert result == (1, "", f"vitals: PORT: port {port} is in use. Set PORT to another port.\n")


def test_no_port_above_65535_is_tried() -> None:
    """Also if more attempts are allowed. That port itself is tried."""
    for listener in listen("127.0.0.1", 65535):
        listener.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65535))
        with pytest.raises(click.ClickException, match="no port from 65535 on is free"):
            listen("127.0.0.1", 65535, attempts=2)


def test_a_privileged_port_is_reported() -> None:
    """The address is valid, so PORT has to change."""
    error = OSError(errno.EACCES, os.strerror(errno.EACCES))
    assert (
        describe_bind_error(error, 80)
        == "PORT: port 80 needs a privilege. Set PORT to a port above 1023."
    )


def test_an_address_is_bound_once_if_a_name_has_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a hosts file may list it."""
    twice = socket.getaddrinfo("127.0.0.1", 8000, type=socket.SOCK_STREAM) * 2
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: twice)
    assert list(resolve("here", 8000)) == [(socket.AF_INET, ("127.0.0.1", 8000))]


def test_all_addresses_are_bound_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one fails, the others are closed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host in ("127.0.0.1", "203.0.113.9")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(click.ClickException):
        listen("here", port)
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("others", [["127.0.0.1"], []])
def test_an_ipv6_address_is_skipped_without_ipv6(
    monkeypatch: pytest.MonkeyPatch, others: list[str]
) -> None:
    """As that of localhost in a container, unless it is the only one."""
    port = free_port()
    found: list[tuple[object, ...]] = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0)),
        *[(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in others],
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    if not others:
        with pytest.raises(click.ClickException, match="HOST: can't listen on this address"):
            listen("here", port)
        return
    (listener,) = listen("here", port)
    with listener:
        assert listener.getsockname() == ("127.0.0.1", port)
