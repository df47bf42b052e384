"""Starting and stopping the proxies of the tests."""

import socket

import pytest

from tests.proxies.proxies import PROXIES
from tests.support.ports import free_port


@pytest.mark.parametrize("kind", PROXIES)
def test_no_process_listens_after_a_proxy_was_stopped(kind: str) -> None:
    with PROXIES[kind]({}, [free_port() for _ in range(3)]) as proxy:
        socket.create_connection(("127.0.0.1", proxy.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
