"""Proxies that probe Vitals and send the requests to an application beside it."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.devservers import Valkey
from tests.edge.fleet import Instance
from tests.edge.load import Load
from tests.edge.proxies import PROXIES, Proxy
from tests.faults.servers import killed
from tests.service import Service, on, wait_for


KINDS = ("haproxy", "caddy", "envoy")
RESTARTS = 10
KEPT = 2

# Seconds that a request may take in addition to the delay of its proxy.
OVERHEAD = 0.5

Trouble = Callable[[Instance, Valkey, Path], AbstractContextManager[None]]


@pytest.fixture(name="maintenance_file")
def _maintenance_file(tmp_path: Path) -> Path:
    return tmp_path / "maintenance"


@pytest.fixture(name="vitals")
def _vitals(own_valkey: Valkey, maintenance_file: Path, tmp_path: Path) -> Iterator[Instance]:
    """Vitals with a drain, and a Redis that only it uses."""
    terms = {"DRAIN_SECONDS": "1", "SHUTDOWN_SECONDS": "0.5", "HOST": "127.0.0.1"}
    file = {"MAINTENANCE_FILE": str(maintenance_file)}
    vitals = Instance(on(valkey=own_valkey) | terms | file, tmp_path)
    yield vitals
    vitals.close()


@pytest.fixture(name="shop")
def _shop(valkey: Valkey, tmp_path: Path) -> Iterator[Instance]:
    """An application that answers with its port."""
    shop = Instance(on(valkey=valkey) | {"HOST": "127.0.0.1"}, tmp_path)
    yield shop
    shop.close()


@pytest.fixture(name="proxies")
def _proxies(vitals: Instance, shop: Instance, own_valkey: Valkey) -> Iterator[list[Proxy]]:
    """Every proxy that can probe another port than that of the requests, with its traffic on."""
    terms = {"DRAIN_SECONDS": "1", "SHUTDOWN_SECONDS": "0.5", "PORT": str(vitals.port)}
    environ = on(valkey=own_valkey) | terms
    with ExitStack() as stack:
        proxies = [
            stack.enter_context(PROXIES[kind](environ, [], "--traffic", f"127.0.0.1:{shop.port}"))
            for kind in KINDS
        ]
        for proxy in proxies:
            wait_for(partial(passes, proxy))
        yield proxies


def passes(proxy: Proxy) -> bool:
    """Return whether a request through the proxy reaches the application."""
    client = Service(None, proxy.port, proxy.log)  # type: ignore[arg-type]  # it only asks
    client.timeout = 60
    return client.ask("/work?seconds=0").code == 200


def test_ten_restarts_of_vitals_fail_no_request(
    vitals: Instance, shop: Instance, proxies: list[Proxy]
) -> None:
    """With GET and POST requests on kept and new connections. Each restart has a drain."""
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(proxy.port, KEPT)) for proxy in proxies]
        for _ in range(RESTARTS):
            assert vitals.stop() == 0
            vitals.start()
            # Restarts in a row are one long failure, unless each proxy sees a success in between.
            time.sleep(max(printed(proxy, "Vitals is ready") for proxy in proxies))
    assert [load.failures for load in loads] == [[], [], []]
    assert min(load.answered(0)[shop.port] for load in loads) > 10 * RESTARTS


@contextmanager
def failed_check(_: Instance, redis: Valkey, __: Path) -> Iterator[None]:
    """Kill the Redis during the block."""
    with killed(redis):
        yield


@contextmanager
def maintenance(_: Instance, __: Valkey, file: Path) -> Iterator[None]:
    """Turn maintenance on during the block."""
    file.touch()
    yield
    file.unlink()


@contextmanager
def stopped(vitals: Instance, _: Valkey, __: Path) -> Iterator[None]:
    """Stop Vitals during the block, as before a stop of the application."""
    vitals.send(signal.SIGTERM)
    yield
    assert vitals.service.process.wait(10) == 0
    vitals.start()


@pytest.mark.parametrize(
    ("trouble", "after"),
    [
        (failed_check, "a required check fails"),
        (maintenance, "`vitals maintenance on`"),
        (stopped, "Vitals was stopped"),
    ],
)
def test_the_traffic_stops_within_the_printed_time(
    vitals: Instance,
    own_valkey: Valkey,
    maintenance_file: Path,
    proxies: list[Proxy],
    trouble: Trouble,
    after: str,
) -> None:
    """It starts again after the repair."""
    with ThreadPoolExecutor() as pool:
        with trouble(vitals, own_valkey, maintenance_file):
            begun = time.monotonic()
            last = [last - begun for last in pool.map(await_end, proxies)]
        for proxy, seconds in zip(proxies, last, strict=True):
            assert seconds <= printed(proxy, after) + OVERHEAD, proxy.kind
        for proxy in proxies:
            wait_for(partial(passes, proxy), 10)


def await_end(proxy: Proxy) -> float:
    """Send requests until one fails, and return when the last answered one was sent."""
    last = time.monotonic()
    while True:
        sent = time.monotonic()
        if not passes(proxy):
            return last
        last = sent
        time.sleep(0.05)


def printed(proxy: Proxy, after: str) -> float:
    """Return the seconds that the configuration states."""
    text = proxy.file.read_text().replace("\n#", "")
    (seconds,) = re.findall(rf"([\d.]+) s after {after}", text)
    return float(seconds)
