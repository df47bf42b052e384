"""The HTML page of example states."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

import app
from app.api.clients import MAX_CLIENTS, Clients
from app.api.page import POLICY, check_rows, render_page
from app.api.verdict import HistorySnapshot, OperatorView, single_check_query
from app.health import Check, Reason, Report
from app.health.reasons import Advice
from app.lifecycle import Phase
from tests.api.scenes import (
    MINUTE,
    NOW,
    PAGE_STATES,
    PageState,
    failing_for,
    intermittent,
    operator,
    passes,
    simulate_check,
)
from tests.fakes import answers


def read(text: bytes) -> str:
    """Return the visible text of a page."""
    visible = re.sub(r"(?s)<(style|script|title).*?</\1>|<[^>]*>", " ", text.decode())
    return " ".join(visible.split())


def test_a_failing_check_has_its_reason_advice_and_history() -> None:
    """And the page names it in the banner."""
    shown = render_page(PAGE_STATES["fail"]().verdict())
    text = read(shown)
    assert text.startswith("Failing postgres fails, so this instance is not ready for traffic.")
    assert "Phase serving Status code 503" in text
    assert f"Vitals {app.__version__}" in text
    assert "As of 03:00:00 UTC" in text
    assert 'title="since 2026-11-24T02:58:28.000Z"' in shown.decode()
    row = text[text.index("postgres fails for") : text.index("redis")]
    assert row == (
        "postgres fails for 1 min 32 s Latency \N{EN DASH} up to 24 ms 10 min "
        "Available 87.20% of 11 min 59 s timeout It accepts the connection, but does not answer "
        "in time. Check its load, locks and disk; it may be frozen. If it needs more time, raise "
        "CHECK_TIMEOUT. "
        "02:58:28 fails: timeout 1 min 32 s 02:48:01 passes 10 min 27 s "
    )


def test_failing_checks_come_first() -> None:
    """The required ones before the optional ones, otherwise in the order of the settings."""
    state = PageState().check("a").check("b", failing_for(9, Reason.DNS), required=False)
    state.check("c", failing_for(9, Reason.TLS)).check("d")
    assert [row.observation.check.name for row in check_rows(state.report, state.snapshot())] == [
        "c",
        "b",
        "a",
        "d",
    ]


def test_a_check_with_one_status_has_no_transitions() -> None:
    """A check without a result has no latency and no availability either."""
    starting = PAGE_STATES["starting"]()
    new, steady = check_rows(starting.report, starting.snapshot())
    assert (new.words, new.latency, new.availability, new.transitions) == (
        "no result yet",
        None,
        None,
        [],
    )
    assert (steady.words, steady.availability, steady.transitions) == ("passes", "100%", [])


def test_many_checks_have_fewer_transitions_each() -> None:
    """Five of each of two checks, or two of each of thirty; the page counts the rest."""
    flapping = intermittent(Reason.DISCONNECTED, 60, 5)
    for checks, shown in ((2, 5), (30, 2)):
        state = PageState()
        for number in range(checks):
            state.check(f"it-{number}", flapping)
        row = check_rows(state.report, state.snapshot())[0]
        assert (len(row.transitions), row.earlier) == (shown, 23 - shown)


def test_attempts_below_a_threshold_are_shown() -> None:
    """The status stays the same until the threshold is reached."""
    check = Check(name="it", probe=answers, failure_threshold=3, success_threshold=3)
    for behavior, words in (
        (failing_for(1, Reason.TIMEOUT), "passes, but the last 2 attempts failed"),
        (lambda ago: None if ago < 1 else Reason.DNS, "fails, but the last attempt passed"),
    ):
        known, history = simulate_check(check, behavior, 60)
        (row,) = check_rows(Report((known,)), HistorySnapshot(now=NOW, histories={"it": history}))
        assert row.words == words
        assert row.observation.advice
        assert (row.latency is None) is (known.failures > 0)


def test_a_passing_check_may_have_advice() -> None:
    """The page shows it without a reason."""
    check = Check(name="it", probe=answers)
    known, history = simulate_check(check, lambda _: None, 60)
    known = replace(known, hint=Advice("It is odd.", "Look at it."))
    state = PageState().check("it")
    verdict = replace(state.verdict(), report=Report((known,)))
    shown = render_page(
        replace(verdict, history=HistorySnapshot(now=NOW, histories={"it": history}))
    ).decode()
    assert "<p>It is odd.</p>\n<p>Look at it.</p>" in shown


def test_a_check_that_has_gone_stale_has_a_transition() -> None:
    """Although no result has recorded it, such as after a crash of the check runner."""
    state = PageState().check("it")
    later = NOW + 60
    (row,) = check_rows(state.report.at(later), replace(state.snapshot(), now=later))
    assert row.latency is None
    shown = [(transition.words, transition.lasted) for transition in row.transitions]
    assert shown == [("fails: stale", "57 s"), ("passes", "12 min 1 s")]


@pytest.mark.parametrize("phase", Phase)
def test_a_page_without_details_has_only_code_and_status(phase: Phase) -> None:
    """No check, no phase and no version, in attributes and comments either."""
    state = PageState(phase).check("postgres", failing_for(9, Reason.DNS))
    shown = render_page(state.verdict(operator()).without_details)
    assert state.verdict(operator()).without_details.history is None
    assert read(shown) == "fail 503"
    for secret in ("postgres", phase.value, app.__version__, "DATABASE_URL"):
        assert secret not in re.sub(r"(?s)<(style|script|symbol).*?</\1>", "", shown.decode())


def test_a_user_agent_is_escaped() -> None:
    """Each client chooses its own."""
    shown = render_page(PAGE_STATES["pass"]().verdict(operator())).decode()
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown


def test_an_operator_sees_clients_and_settings() -> None:
    """Other clients don't."""
    text = read(render_page(PAGE_STATES["pass"]().verdict(operator())))
    assert "HAProxy 2 per second 0.5 s ago kube-probe/1.34 every 10 s 3 s ago" in text
    assert "CHECK_INTERVAL 1" in text
    assert "HAProxy" not in read(render_page(PAGE_STATES["pass"]().verdict()))


def test_the_largest_page_is_small() -> None:
    """Thirty checks with long names that flap and fail, and the most clients."""
    state = PageState()
    for number in range(30):
        state.check(
            f"a-service-with-a-long-name-{number:02}",
            lambda ago: None if ago % 3 else Reason.STALE,
        )
    clients = Clients()
    for number in range(2 * MAX_CLIENTS):
        clients.record(
            (f"Mozilla/5.0 (number {number}) " + "x" * 1000).encode(), NOW.steady - MINUTE
        )
    settings = {f"SETTING_NUMBER_{number}": "some value of it" for number in range(30)}
    shown = render_page(state.verdict(OperatorView(clients.all(NOW), settings)))
    assert len(check_rows(state.report, state.snapshot())[0].transitions) == 2
    assert len(shown) < 60_000


def test_two_hundred_checks_are_shown_with_the_worst_first() -> None:
    """Required checks that fail come before optional ones, and passing checks at the end."""
    state = PageState()
    for number in range(200):
        behavior = failing_for(45, Reason.DNS) if number in {150, 160} else passes
        state.check(f"service-{number:03}", behavior, required=number != 150)
    shown = render_page(state.verdict())
    names = re.findall(r"<h2>(service-\d+)</h2>", shown.decode())
    assert names[:4] == ["service-160", "service-150", "service-000", "service-001"]
    assert len(names) == 200
    assert len(shown) < 200_000


def test_the_policy_allows_only_style_and_script_of_the_page() -> None:
    """By their hashes."""
    shown = render_page(PAGE_STATES["pass"]().verdict()).decode()
    for kind in ("style", "script"):
        (source,) = re.findall(rf"(?s)<{kind}>(.*?)</{kind}>", shown)
        digest = b64encode(sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; ")


def test_the_page_shows_warnings() -> None:
    """As JSON does."""
    verdict = replace(PAGE_STATES["pass"]().verdict(), warnings=("no check is named x",))
    assert "no check is named x" in read(render_page(verdict))


def test_one_check_has_a_page_of_its_own() -> None:
    """It shows nothing about the others."""
    state = PageState(Phase.DRAINING).check("postgres").check("redis", failing_for(9, Reason.DNS))
    for name, beginning in (
        ("postgres", "Passing postgres passes."),
        ("redis", "Failing redis fails."),
    ):
        verdict = single_check_query(name)(state.report, Phase.DRAINING)
        assert verdict
        text = read(render_page(replace(verdict, history=state.snapshot())))
        assert text.startswith(beginning)
    assert "postgres" not in text
