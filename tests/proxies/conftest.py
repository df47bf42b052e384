"""Fixtures for instances behind a proxy."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.proxies.fleet import Instance
from tests.proxies.proxies import PROXIES, Proxy
from tests.support.devservers import Valkey
from tests.support.service import on


# Seconds, the minimum that the proxies' rules allow.
DRAIN = 1.6

Behind = Callable[[str], tuple[Proxy, list[Instance]]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long tests first: a worker takes two tests, and could otherwise get two long ones."""
    long = ["test_restart.py", "test_companion.py"]
    items.sort(key=lambda item: [item.path.name != name for name in long])


@pytest.fixture(name="behind")
def _behind(valkey: Valkey, own_valkey: Valkey, tmp_path: Path) -> Iterator[Behind]:
    """A function that starts a proxy with three instances. The first has its own Redis."""
    environs = [
        {**on(valkey=redis), "DRAIN_SECONDS": f"{DRAIN}", "HOST": "127.0.0.1"}
        for redis in (own_valkey, valkey, valkey)
    ]
    with ExitStack() as stack:

        def behind(kind: str) -> tuple[Proxy, list[Instance]]:
            instances = [
                stack.enter_context(closing(Instance(environ, tmp_path))) for environ in environs
            ]
            ports = [instance.port for instance in instances]
            return stack.enter_context(PROXIES[kind](environs[0], ports)), instances

        yield behind
