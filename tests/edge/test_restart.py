"""Instances are restarted one after the other under load, and no request is lost."""

import time

import pytest

from tests.edge.conftest import Behind
from tests.edge.load import Load
from tests.edge.proxies import PROXIES


ROUNDS = 10
KEPT = 6


@pytest.mark.parametrize("kind", PROXIES)
def test_a_rolling_restart_loses_nothing(behind: Behind, kind: str) -> None:
    """Ten rounds; GET and POST of 50 to 200 ms, half of them on connections that are kept."""
    proxy, instances = behind(kind)
    with Load(proxy.port, KEPT) as load:
        for _ in range(ROUNDS):
            for instance in instances:
                assert instance.stop() == 0
                instance.start()
                back = time.monotonic()
                while not load.answered(back)[instance.port]:
                    assert time.monotonic() < back + 10
                    time.sleep(0.05)
    assert load.failures == []
    assert min(load.answered(0)[instance.port] for instance in instances) > 10 * ROUNDS
