"""The terms of each prober: of those that suit the settings, the ones that ask least."""

from collections.abc import Iterable
from itertools import product

from app.timing.prober import Prober
from app.timing.promise import Promise
from app.timing.rules import rotation


# Seconds, the gentlest first; more often than the last costs more than it tells.
INTERVALS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2)
TIMEOUTS = (1.0, 0.6)


def haproxy(promised: Promise) -> Prober:
    """Tell HAProxy's terms; that one answer got lost does not take an instance out."""
    return _gentlest(_every("HAProxy", fall=2), promised)


def caddy(promised: Promise) -> Prober:
    """Tell Caddy's terms; before 2.8 it can't count failures."""
    return _gentlest(_every("Caddy", fall=1), promised)


def kubelet(promised: Promise) -> Prober:
    """Tell the terms of a readiness probe; a kubelet knows whole seconds alone."""
    terms = product((2, 1), (10.0, 5.0, 2.0, 1.0))
    return _gentlest(
        (
            Prober(who="the kubelet", interval=interval, timeout=1, fall=fall)
            for fall, interval in terms
        ),
        promised,
    )


def liveness() -> Prober:
    """Tell the terms of a liveness probe, which is in no hurry: what it does is a restart."""
    return Prober(who="the kubelet", interval=10, timeout=2, fall=3)


def startup(promised: Promise) -> Prober:
    """Tell the terms of a startup probe, which gives a start twice what it may take."""
    return Prober(
        who="the kubelet", interval=1, timeout=1, fall=max(30, tens(2 * promised.started))
    )


def docker() -> Prober:
    """Tell the terms of Docker's health check, upon which Docker itself does nothing."""
    return Prober(who="Docker", interval=30, timeout=10, fall=3)


def nginx(promised: Promise) -> float:
    """Tell for how many seconds nginx passes over an instance that has failed it."""
    return next((over for over in (10, 5, 2) if over <= promised.green), 1)


def tens(seconds: float) -> int:
    """Round up to whole tens, as people set such times."""
    return int(-(-seconds // 10) * 10)


def _every(who: str, fall: int) -> Iterable[Prober]:
    for timeout, interval in product(TIMEOUTS, INTERVALS):
        yield Prober(who=who, interval=interval, timeout=timeout, fall=fall)


def _gentlest(terms: Iterable[Prober], promised: Promise) -> Prober:
    """Choose the first that suits; where none does, the last, whose rules tell why."""
    prober = None
    for prober in terms:
        if all(rule.holds for rule in rotation(prober, promised)):
            return prober
    assert prober  # noqa: S101 - there are terms
    return prober
