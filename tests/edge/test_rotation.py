"""Instances that drain, fail or freeze leave the rotation in time, and come back."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from app.devservers import Valkey
from app.probe_config import caddy, haproxy, promise
from app.settings import Settings
from tests.edge.conftest import DRAIN, Behind
from tests.edge.fleet import Instance
from tests.edge.load import WORK, Load
from tests.faults.servers import killed
from tests.service import Service, on


KEPT = 3

# Less than nginx leaves out for what has failed once.
OUT = 0.5

# What a request may be on its way beside what it is asked to take.
WAY = 0.5

Trouble = Callable[[Instance, Valkey], AbstractContextManager[None]]
TERMS = {"haproxy": haproxy, "caddy": caddy}


@contextmanager
def draining(instance: Instance, _: Valkey) -> Iterator[None]:
    """Told to stop, and started again."""
    instance.send(signal.SIGTERM)
    yield
    assert instance.service.process.wait(10) == 0
    instance.start()


@contextmanager
def failing(_: Instance, redis: Valkey) -> Iterator[None]:
    """Without its Redis."""
    with killed(redis):
        yield


@contextmanager
def frozen(instance: Instance, _: Valkey) -> Iterator[None]:
    """Neither answering nor ending."""
    instance.send(signal.SIGSTOP)
    try:
        yield
    finally:
        instance.send(signal.SIGCONT)


def settings(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Read the settings that the instances and the proxy have."""
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
    """No request is sent to it after that, and others are not troubled."""
    proxy, (troubled, *_) = behind(kind)
    promised = promise(settings(own_valkey, monkeypatch))
    prober = TERMS[kind](promised)
    shows, shown = (promised.red, promised.green) if trouble is failing else (0, 0)
    with Load(proxy.port, KEPT) as load:
        seen(load, troubled, time.monotonic())
        with trouble(troubled, own_valkey):
            left = time.monotonic() + shows + prober.leaves
            time.sleep(shows + prober.leaves + 1)
            assert load.answered(left)[troubled.port] == 0
            if trouble is not frozen:
                assert load.failures == []
            mended = time.monotonic()
        ready = max(mended, troubled.ready_at)
        returned = seen(load, troubled, mended)
    assert returned - ready <= shown + prober.returns + WORK[1] + WAY


def seen(load: Load, instance: Instance, since: float, within: float = 15) -> float:
    """Wait until an instance has answered a request; tell when."""
    while not load.answered(since)[instance.port]:
        assert time.monotonic() < since + within
        time.sleep(0.01)
    return time.monotonic()


def test_nginx_leaves_out_whoever_says_no_through_it(
    behind: Behind, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is asked for its readiness; nobody is told no while another is ready."""
    proxy, (troubled, *_) = behind("nginx")
    promised = promise(settings(own_valkey, monkeypatch))
    asker = Service(troubled.service.process, proxy.port, proxy.log)
    with Load(proxy.port, KEPT) as load:
        seen(load, troubled, time.monotonic())
        with killed(own_valkey):
            time.sleep(promised.red)
            codes = {asker.ask("/health/ready").code for _ in range(60)}
            asked = time.monotonic()
            time.sleep(OUT)
            out = load.answered(asked)[troubled.port]
        assert (codes, out) == ({200}, 0)
        seen(load, troubled, time.monotonic())
    assert load.failures == []


@pytest.mark.parametrize("kind", ["haproxy", "caddy", "nginx"])
def test_no_detail_gets_out(behind: Behind, kind: str) -> None:
    """Neither the metrics, nor, with Caddy, more of an instance's health than a code."""
    proxy, (instance, *_) = behind(kind)
    asker = Service(instance.service.process, proxy.port, proxy.log)
    assert asker.ask("/metrics").code == asker.ask("/metrics/").code == 404
    for path in ("/health/ready", "/livez", "/health/checks/redis", "/healthz/"):
        reply = asker.ask(path, Authorization="Bearer x")
        assert reply.code == 200
        assert kind != "caddy" or reply.body == b""
    assert asker.ask("/health/checks/none").code == 404
    assert asker.ask("/health/checks/none").code == 404
    assert asker.ask("/health/ready", "HEAD").code == 200
