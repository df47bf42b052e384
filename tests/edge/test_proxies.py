"""The proxies as they are run here."""

import socket

import pytest

from tests.edge.proxies import PROXIES
from tests.ports import free_port


@pytest.mark.parametrize("kind", PROXIES)
def test_nothing_listens_where_a_proxy_has_been(kind: str) -> None:
    """What it has started ends with it."""
    with PROXIES[kind]({}, [free_port() for _ in range(3)]) as proxy:
        socket.create_connection(("127.0.0.1", proxy.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
