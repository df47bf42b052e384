"""Proxies take instances that drain, fail or freeze out of rotation in time, and put them back."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from app.probe_config import caddy, compute_guarantees, envoy, haproxy
from app.settings import Settings
from tests.proxies.conftest import DRAIN, Behind
from tests.proxies.fleet import Instance
from tests.proxies.load import WORK, Load
from tests.proxies.proxies import PROXIES
from tests.support.devservers import Valkey
from tests.support.faults.servers import killed
from tests.support.service import ask, on


KEPT = 3

# Seconds, less than nginx's fail_timeout.
OUT = 0.5

# Seconds that a request may take in addition to the instance's work.
OVERHEAD = 0.5

Trouble = Callable[[Instance, Valkey], AbstractContextManager[None]]
TERMS = {"haproxy": haproxy, "caddy": caddy, "envoy": envoy}


@contextmanager
def draining(instance: Instance, _: Valkey) -> Iterator[None]:
    """Stop the instance during the block, then start it again."""
    instance.send(signal.SIGTERM)
    yield
    assert instance.service.process.wait(10) == 0
    instance.start()


@contextmanager
def failing(_: Instance, redis: Valkey) -> Iterator[None]:
    """Kill the instance's Redis during the block."""
    with killed(redis):
        yield


@contextmanager
def frozen(instance: Instance, _: Valkey) -> Iterator[None]:
    """Suspend the instance during the block."""
    instance.send(signal.SIGSTOP)
    try:
        yield
    finally:
        instance.send(signal.SIGCONT)


def settings(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of the instances and the proxy."""
    for name, value in {**on(valkey=valkey), "DRAIN_SECONDS": f"{DRAIN}"}.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize("trouble", [draining, failing, frozen])
@pytest.mark.parametrize("kind", TERMS)
def test_an_instance_leaves_and_returns_within_the_stated_time(
    behind: Behind,
    own_valkey: Valkey,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    trouble: Trouble,
) -> None:
    """Then it receives no requests. Requests to the other instances don't fail."""
    proxy, (troubled, *_) = behind(kind)
    promised = compute_guarantees(settings(own_valkey, monkeypatch))
    prober = TERMS[kind](promised)
    shows, shown = (promised.fault_delay, promised.repair_delay) if trouble is failing else (0, 0)
    with Load(proxy.port, KEPT) as load:
        wait_for_answer(load, troubled, time.monotonic())
        with trouble(troubled, own_valkey):
            left = time.monotonic() + shows + prober.removal_delay
            time.sleep(shows + prober.removal_delay + 1)
            assert load.answered(left)[troubled.port] == 0
            if trouble is not frozen:
                assert load.failures == []
            repaired = time.monotonic()
        ready = max(repaired, troubled.ready_at)
        returned = wait_for_answer(load, troubled, repaired)
    assert returned - ready <= shown + prober.return_delay + WORK[1] + OVERHEAD


def wait_for_answer(load: Load, instance: Instance, since: float, within: float = 15) -> float:
    """Wait until an instance has answered a request, and return the time."""
    while not load.answered(since)[instance.port]:
        assert time.monotonic() < since + within
        time.sleep(0.01)
    return time.monotonic()


def test_nginx_takes_an_instance_out_whose_readiness_fails_through_it(
    behind: Behind, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that requests readiness gets 200 while another instance is ready."""
    proxy, (troubled, *_) = behind("nginx")
    promised = compute_guarantees(settings(own_valkey, monkeypatch))
    with Load(proxy.port, KEPT) as load:
        wait_for_answer(load, troubled, time.monotonic())
        with killed(own_valkey):
            time.sleep(promised.fault_delay)
            codes = {ask(proxy.port, "/health/ready").code for _ in range(60)}
            asked = time.monotonic()
            time.sleep(OUT)
            out = load.answered(asked)[troubled.port]
        assert (codes, out) == ({200}, 0)
        wait_for_answer(load, troubled, time.monotonic())
    assert load.failures == []


@pytest.mark.parametrize("kind", PROXIES)
def test_proxies_hide_details_from_outside(behind: Behind, kind: str) -> None:
    """They hide the metrics. Caddy also removes the bodies of health answers."""
    proxy, _ = behind(kind)
    assert ask(proxy.port, "/metrics").code == ask(proxy.port, "/metrics/").code == 404
    for path in ("/health/ready", "/livez", "/health/checks/redis", "/healthz/"):
        reply = ask(proxy.port, path, Authorization="Bearer x")
        assert reply.code == 200
        assert kind != "caddy" or reply.body == b""
    assert ask(proxy.port, "/health/checks/none").code == 404
    assert ask(proxy.port, "/health/checks/none").code == 404
    assert ask(proxy.port, "/health/ready", "HEAD").code == 200
