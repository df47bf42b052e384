"""Proxies that probe Vitals and send the requests to an application beside it."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.proxies.fleet import Instance
from tests.proxies.load import Load
from tests.proxies.proxies import PROXIES, Proxy
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import frozen, killed
from tests.support.service import ask, on, wait_for


KINDS = ("haproxy", "caddy", "envoy")
RESTARTS = 10
KEPT = 2

# Seconds that a request may take in addition to the delay of its proxy.
OVERHEAD = 0.5


@dataclass(frozen=True, slots=True)
class Companion:
    """Vitals beside an application, and what changes its answers."""

    vitals: Instance
    postgres: Postgres
    redis: Valkey
    maintenance_file: Path


@pytest.fixture(name="companion")
def _companion(own_postgres: Postgres, own_valkey: Valkey, tmp_path: Path) -> Iterator[Companion]:
    """Vitals with a drain, and stores that only it uses."""
    file = tmp_path / "maintenance"
    terms = {"DRAIN_SECONDS": "1", "SHUTDOWN_SECONDS": "0.5", "HOST": "127.0.0.1"}
    environ = on(own_postgres, own_valkey) | terms | {"MAINTENANCE_FILE": str(file)}
    vitals = Instance(environ, tmp_path)
    yield Companion(vitals, own_postgres, own_valkey, file)
    vitals.close()


@pytest.fixture(name="shop")
def _shop(valkey: Valkey, tmp_path: Path) -> Iterator[Instance]:
    """An application that answers with its port."""
    shop = Instance(on(valkey=valkey) | {"HOST": "127.0.0.1"}, tmp_path)
    yield shop
    shop.close()


@pytest.fixture(name="proxies")
def _proxies(companion: Companion, shop: Instance) -> Iterator[list[Proxy]]:
    """Every proxy that can probe another port than that of the requests, with its traffic on."""
    terms = {"DRAIN_SECONDS": "1", "SHUTDOWN_SECONDS": "0.5", "PORT": str(companion.vitals.port)}
    environ = on(companion.postgres, companion.redis) | terms
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
    return ask(proxy.port, "/slow?seconds=0", timeout=60).code == 200


def test_ten_restarts_of_vitals_fail_no_request(
    companion: Companion, shop: Instance, proxies: list[Proxy]
) -> None:
    """With GET and POST requests on kept and new connections. Each restart has a drain."""
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(proxy.port, KEPT)) for proxy in proxies]
        for _ in range(RESTARTS):
            assert companion.vitals.stop() == 0
            companion.vitals.start()
            # Restarts in a row are one long failure, unless each proxy sees a success in between.
            time.sleep(max(printed(proxy, "Vitals is ready") for proxy in proxies))
    assert [load.failures for load in loads] == [[], [], []]
    assert min(load.answered(0)[shop.port] for load in loads) > 10 * RESTARTS


@contextmanager
def maintenance(file: Path) -> Iterator[None]:
    """Turn maintenance on during the block."""
    file.touch()
    yield
    file.unlink()


@contextmanager
def stopped(vitals: Instance) -> Iterator[None]:
    """Stop Vitals during the block, as before a stop of the application."""
    vitals.send(signal.SIGTERM)
    yield
    assert vitals.service.process.wait(10) == 0
    vitals.start()


FAILED = "a required check fails"


@pytest.mark.parametrize(
    ("trouble", "after"),
    [
        (lambda companion: killed(companion.postgres), FAILED),
        (lambda companion: frozen(companion.postgres), FAILED),
        (lambda companion: killed(companion.redis), FAILED),
        (lambda companion: maintenance(companion.maintenance_file), "`vitals maintenance on`"),
        (lambda companion: stopped(companion.vitals), "Vitals was stopped"),
    ],
    ids=["dead database", "frozen database", "dead redis", "maintenance", "drain"],
)
def test_the_traffic_stops_within_the_printed_time(
    companion: Companion,
    proxies: list[Proxy],
    trouble: Callable[[Companion], AbstractContextManager[None]],
    after: str,
) -> None:
    """It starts again after the repair."""
    with ThreadPoolExecutor() as pool:
        with trouble(companion):
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
