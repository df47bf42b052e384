"""The terms of each prober: of those that suit the settings, the ones that ask least."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from app.probe_config.guarantees import ANSWER, Guarantees, Prober


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that must hold.

    Attributes:
        term: which of the prober's terms it is about.
        words: what is claimed, with its figures.
        remedy: the setting to change, and how.

    """

    term: str
    words: str
    holds: bool
    remedy: str


def rotation(prober: Prober, promised: Guarantees) -> list[Rule]:
    """Tell what must hold of a prober that takes instances out of rotation and puts them back."""
    return [
        answered(prober),
        _shown(prober, prober.fall, "a fault", promised.red),
        _shown(prober, prober.rise, "a repair", promised.green),
        _drained(prober, promised.drain),
    ]


def answered(prober: Prober) -> Rule:
    """Tell that a prober waits for longer than an answer may take."""
    waits = f"waits {prober.timeout:g} s for an answer, which"
    return Rule(
        term="timeout",
        words=f"{prober.who} {waits} comes within {ANSWER:g} s",
        holds=prober.timeout > ANSWER,
        remedy=f"{prober.who} {waits} may take {ANSWER:g} s: have it wait longer",
    )


def _shown(prober: Prober, times: int, what: str, within: float) -> Rule:
    """Tell that a prober is no slower to ask than the service is to know."""
    asks = times * prober.interval
    return Rule(
        term="interval",
        words=f"{prober.who} asks {times} x {prober.interval:g} s for {what}, which shows within "
        f"{within:g} s",
        holds=asks <= within,
        remedy=f"CHECK_INTERVAL and CHECK_TIMEOUT have {what} show within {within:g} s, and "
        f"{prober.who} takes {asks:g} s to ask: raise CHECK_INTERVAL",
    )


def _drained(prober: Prober, drain: float) -> Rule:
    return Rule(
        term="interval",
        words=f"{prober.who} sends nothing more {prober.leaves:g} s after SIGTERM, and the door "
        f"closes after {drain:g} s",
        holds=prober.leaves <= drain,
        remedy=f"DRAIN_SECONDS is {drain:g}, and {prober.who} may send requests for "
        f"{prober.leaves:g} s after SIGTERM: set it to {prober.leaves:g} or more",
    )


def outlasts(outer: Prober, inner: Prober) -> Rule:
    """Tell that who runs a prober waits for longer than that does."""
    return Rule(
        term="timeout",
        words=f"{outer.who} waits {outer.timeout:g} s for {inner.who}, which gives up after "
        f"{inner.timeout:g} s",
        holds=outer.timeout > inner.timeout,
        remedy=f"{inner.who} gives up after {inner.timeout:g} s, and {outer.who} before it, after "
        f"{outer.timeout:g} s: have {outer.who} wait longer",
    )


def passed_over(seconds: float, promised: Guarantees) -> Rule:
    """Tell that nginx leaves an instance out for no longer than its repair takes to show."""
    return Rule(
        term="fail_timeout",
        words=f"nginx passes an instance over for {seconds:g} s, and a repair shows within "
        f"{promised.green:g} s",
        holds=seconds <= promised.green,
        remedy=f"CHECK_INTERVAL and CHECK_TIMEOUT have a repair show within {promised.green:g} s, "
        f"and nginx passes an instance over for {seconds:g} s: raise CHECK_INTERVAL",
    )


def let_go(who: str, seconds: float, promised: Guarantees) -> Rule:
    """Tell that a kept connection that nobody uses is gone before the door closes."""
    return Rule(
        term="keepalive_timeout",
        words=f"{who} lets go of an unused connection after {seconds:g} s, and the door closes "
        f"after {promised.drain:g} s",
        holds=seconds < promised.drain,
        remedy=f"DRAIN_SECONDS is {promised.drain:g}, and {who} keeps an unused connection for "
        f"{seconds:g} s: set it above {seconds:g}",
    )


def started(who: str, seconds: float, promised: Guarantees) -> Rule:
    """Tell that a start is given the time that it may take."""
    return Rule(
        term="start",
        words=f"{who} gives a start {seconds:g} s, which takes at most {promised.started:g} s",
        holds=promised.started <= seconds,
        remedy=f"CHECK_TIMEOUT has a start take up to {promised.started:g} s, and {who} gives it "
        f"{seconds:g} s: lower CHECK_TIMEOUT, or give it {promised.started:g} s",
    )


def stopped(who: str, seconds: float, promised: Guarantees) -> Rule:
    """Tell that a stop is given the time that it may take, before the process is killed."""
    return Rule(
        term="grace",
        words=f"{who} kills {seconds:g} s after SIGTERM, and a stop takes at most "
        f"{promised.gone:g} s",
        holds=promised.gone <= seconds,
        remedy=f"DRAIN_SECONDS and SHUTDOWN_SECONDS have a stop take up to {promised.gone:g} s, "
        f"and {who} kills after {seconds:g} s: lower them, or give it {promised.gone:g} s",
    )


# Seconds, the gentlest first; more often than the last costs more than it tells.
INTERVALS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2)
TIMEOUTS = (1.0, 0.6)


def haproxy(promised: Guarantees) -> Prober:
    """Tell HAProxy's terms; that one answer got lost does not take an instance out."""
    return _gentlest(_every("HAProxy", fall=2), promised)


def caddy(promised: Guarantees) -> Prober:
    """Tell Caddy's terms; before 2.8 it can't count failures."""
    return _gentlest(_every("Caddy", fall=1), promised)


def kubelet(promised: Guarantees) -> Prober:
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


def startup(promised: Guarantees) -> Prober:
    """Tell the terms of a startup probe, which gives a start twice what it may take."""
    return Prober(
        who="the kubelet", interval=1, timeout=1, fall=max(30, tens(2 * promised.started))
    )


def docker() -> Prober:
    """Tell the terms of Docker's health check, upon which Docker itself does nothing."""
    return Prober(who="Docker", interval=30, timeout=10, fall=3)


def nginx(promised: Guarantees) -> float:
    """Tell for how many seconds nginx passes over an instance that has failed it."""
    return next((over for over in (10, 5, 2) if over <= promised.green), 1)


def tens(seconds: float) -> int:
    """Round up to whole tens, as people set such times."""
    return int(-(-seconds // 10) * 10)


def _every(who: str, fall: int) -> Iterable[Prober]:
    for timeout, interval in product(TIMEOUTS, INTERVALS):
        yield Prober(who=who, interval=interval, timeout=timeout, fall=fall)


def _gentlest(terms: Iterable[Prober], promised: Guarantees) -> Prober:
    """Choose the first that suits; where none does, the last, whose rules tell why."""
    prober = None
    for prober in terms:
        if all(rule.holds for rule in rotation(prober, promised)):
            return prober
    assert prober  # noqa: S101 - there are terms
    return prober
