"""A fleet behind a proxy."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.devservers import Valkey
from tests.edge.fleet import Instance, fleet
from tests.edge.proxies import PROXIES, Proxy
from tests.service import on


# As short as the rules allow.
DRAIN = 1.5

Behind = Callable[[str], tuple[Proxy, list[Instance]]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the long ones come first: a worker takes two tests, and may have taken two of them."""
    items.sort(key=lambda item: item.path.name != "test_restart.py")


@pytest.fixture(name="behind")
def _behind(valkey: Valkey, own_valkey: Valkey, tmp_path: Path) -> Iterator[Behind]:
    """Run a proxy before three instances; the first has a Redis of its own to lose."""
    environs = [
        {**on(valkey=redis), "DRAIN_SECONDS": f"{DRAIN}", "HOST": "127.0.0.1"}
        for redis in (own_valkey, valkey, valkey)
    ]
    with ExitStack() as stack:

        def behind(kind: str) -> tuple[Proxy, list[Instance]]:
            instances = stack.enter_context(fleet([*environs], tmp_path))
            ports = [instance.port for instance in instances]
            proxy = stack.enter_context(PROXIES[kind](environs[0], ports))
            return proxy, instances

        yield behind
