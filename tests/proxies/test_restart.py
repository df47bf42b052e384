"""Rolling restarts under load."""

import time

import pytest

from tests.proxies.conftest import Behind
from tests.proxies.load import Load
from tests.proxies.proxies import PROXIES


# Each round restarts three instances. tests/proxies/test_companion.py adds ten restarts behind each
# proxy that probes.
ROUNDS = {**dict.fromkeys(PROXIES, 4), "envoy": 3}
KEPT = 6


@pytest.mark.parametrize("kind", PROXIES)
def test_a_rolling_restart_fails_no_request(behind: Behind, kind: str) -> None:
    """Each round has GET and POST requests of 50 to 200 ms, half of them on kept connections."""
    proxy, instances = behind(kind)
    with Load(proxy.port, KEPT) as load:
        for _ in range(ROUNDS[kind]):
            for instance in instances:
                assert instance.stop() == 0
                instance.start()
                started = time.monotonic()
                while not load.answered(started)[instance.port]:
                    assert time.monotonic() < started + 10
                    time.sleep(0.05)
    assert load.failures == []
    assert min(load.answered(0)[instance.port] for instance in instances) > 10 * ROUNDS[kind]
