"""What must hold between a prober's terms and what the settings promise."""

from dataclasses import dataclass

from app.timing.prober import Prober
from app.timing.promise import ANSWER, Promise


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


def rotation(prober: Prober, promised: Promise) -> list[Rule]:
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


def passed_over(seconds: float, promised: Promise) -> Rule:
    """Tell that nginx leaves an instance out for no longer than its repair takes to show."""
    return Rule(
        term="fail_timeout",
        words=f"nginx passes an instance over for {seconds:g} s, and a repair shows within "
        f"{promised.green:g} s",
        holds=seconds <= promised.green,
        remedy=f"CHECK_INTERVAL and CHECK_TIMEOUT have a repair show within {promised.green:g} s, "
        f"and nginx passes an instance over for {seconds:g} s: raise CHECK_INTERVAL",
    )


def let_go(who: str, seconds: float, promised: Promise) -> Rule:
    """Tell that a kept connection that nobody uses is gone before the door closes."""
    return Rule(
        term="keepalive_timeout",
        words=f"{who} lets go of an unused connection after {seconds:g} s, and the door closes "
        f"after {promised.drain:g} s",
        holds=seconds < promised.drain,
        remedy=f"DRAIN_SECONDS is {promised.drain:g}, and {who} keeps an unused connection for "
        f"{seconds:g} s: set it above {seconds:g}",
    )


def started(who: str, seconds: float, promised: Promise) -> Rule:
    """Tell that a start is given the time that it may take."""
    return Rule(
        term="start",
        words=f"{who} gives a start {seconds:g} s, which takes at most {promised.started:g} s",
        holds=promised.started <= seconds,
        remedy=f"CHECK_TIMEOUT has a start take up to {promised.started:g} s, and {who} gives it "
        f"{seconds:g} s: lower CHECK_TIMEOUT, or give it {promised.started:g} s",
    )


def stopped(who: str, seconds: float, promised: Promise) -> Rule:
    """Tell that a stop is given the time that it may take, before the process is killed."""
    return Rule(
        term="grace",
        words=f"{who} kills {seconds:g} s after SIGTERM, and a stop takes at most "
        f"{promised.gone:g} s",
        holds=promised.gone <= seconds,
        remedy=f"DRAIN_SECONDS and SHUTDOWN_SECONDS have a stop take up to {promised.gone:g} s, "
        f"and {who} kills after {seconds:g} s: lower them, or give it {promised.gone:g} s",
    )
