"""The HTML page of example states."""

import re
from base64 import b64encode
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256

import pytest

import app
from app.api.clients import MAX_CLIENTS, Clients
from app.api.page import POLICY, check_rows, render_page
from app.api.verdict import OperatorView, PageContext, single_check_query
from app.health import Check, History, Reason, Report
from app.health.reasons import Advice
from app.lifecycle import Phase
from tests.support.fakes import answers
from tests.unit.api.scene import ApiClient
from tests.unit.api.scenes import (
    INSTANCE,
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


def read(text: bytes) -> str:
    """Return the visible text of a page."""
    visible = re.sub(r"(?s)<(style|script|title).*?</\1>|<[^>]*>", " ", text.decode())
    return " ".join(visible.split())


def page_of(history: History) -> PageContext:
    """Return what the page shows of the check `it`."""
    return PageContext(now=NOW, histories={"it": history}, instance="host-1")


def test_a_failing_check_has_its_reason_advice_and_history() -> None:
    """And the page names it in the banner."""
    shown = render_page(PAGE_STATES["fail"]().verdict())
    text = read(shown)
    assert text.startswith(
        f"{INSTANCE} Failing postgres fails, so this instance is not ready for traffic."
    )
    assert "Phase serving Status code 503" in text
    assert f"Vitals {app.__version__}" in text
    assert "As of 03:00:00 UTC" in text
    assert f"<title>Failing · {INSTANCE} · Vitals</title>" in shown.decode()
    assert '<time datetime="2026-11-24T02:58:28.000Z">for 1 min 32 s</time>' in shown.decode()
    row = text[text.index("postgres fails for") : text.index("redis")]
    assert row == (
        "postgres fails for 1 min 32 s Latency \N{EN DASH} up to 24 ms Trend last 10 min "
        "Availability since start 87.20% of 11 min 59 s timeout It accepts the connection, but "
        "does not answer in time. Check its load, locks and disk; it may be frozen. If it needs "
        "more time, raise CHECK_TIMEOUT. "
        "02:58:28 fails: timeout 1 min 32 s 02:48:01 passes 10 min 27 s "
    )


def test_failing_checks_come_first() -> None:
    """The required ones before the optional ones, otherwise in the order of the settings."""
    state = PageState().check("a").check("b", failing_for(9, Reason.DNS), required=False)
    state.check("c", failing_for(9, Reason.TLS)).check("d")
    assert [row.observation.check.name for row in check_rows(state.report, state.page())] == [
        "c",
        "b",
        "a",
        "d",
    ]


def test_a_check_with_one_status_has_no_transitions() -> None:
    """A check without a result has no latency and no availability either."""
    starting = PAGE_STATES["starting"]()
    new, steady = check_rows(starting.report, starting.page())
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
        row = check_rows(state.report, state.page())[0]
        assert (len(row.transitions), row.earlier) == (shown, 23 - shown)


@pytest.mark.parametrize(("required", "bad"), [(True, "fail"), (False, "warn")])
def test_a_transition_has_the_colour_of_its_status(*, required: bool, bad: str) -> None:
    """The failure of an optional check is a warning in its history too."""
    check = Check(name="it", probe=answers, required=required)
    known, history = simulate_check(check, failing_for(9, Reason.DNS), 60)
    (row,) = check_rows(Report((known,)), page_of(history))
    assert [transition.kind for transition in row.transitions] == [bad, "pass"]


def test_attempts_below_a_threshold_are_shown() -> None:
    """The status stays the same until the threshold is reached."""
    check = Check(name="it", probe=answers, failure_threshold=3, success_threshold=3)
    for behavior, words in (
        (failing_for(1, Reason.TIMEOUT), "passes, but the last 2 attempts failed"),
        (lambda ago: None if ago < 1 else Reason.DNS, "fails, but the last attempt passed"),
    ):
        known, history = simulate_check(check, behavior, 60)
        (row,) = check_rows(Report((known,)), page_of(history))
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
    shown = render_page(replace(verdict, page=page_of(history))).decode()
    assert "<p>It is odd.</p>\n<p>Look at it.</p>" in shown


def test_a_check_that_has_gone_stale_has_a_transition() -> None:
    """Although no result has recorded it, such as after a crash of the check runner."""
    state = PageState().check("it")
    later = NOW + 60
    (row,) = check_rows(state.report.at(later), replace(state.page(), now=later))
    assert row.latency is None
    shown = [(transition.words, transition.lasted) for transition in row.transitions]
    assert shown == [("fails: stale", "57 s"), ("passes", "12 min 1 s")]


@pytest.mark.parametrize("phase", Phase)
def test_a_page_without_details_has_only_code_and_status(phase: Phase) -> None:
    """No check, no phase and no version, in attributes and comments either."""
    state = PageState(phase).check("postgres", failing_for(9, Reason.DNS))
    shown = render_page(state.verdict(operator()).without_details)
    assert state.verdict(operator()).without_details.page is None
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


def test_changed_settings_come_first() -> None:
    """In the order of the settings otherwise. They are folded until the reader opens them."""
    shown = render_page(PAGE_STATES["pass"]().verdict(operator())).decode()
    details = shown[shown.index("<details") : shown.index("</details>")]
    assert "3 differ from the defaults" in details
    assert " open" not in details
    names = re.findall(r"<div( class=\"changed\")?><dt>(\w+)", details)
    assert [name for _, name in names] == [
        *("DATABASE_URL", "CHECKS", "OPTIONAL_CHECKS"),
        *("HOST", "CHECK_INTERVAL", "MAINTENANCE_FILE"),
    ]
    assert [bool(mark) for mark, _ in names] == [True] * 3 + [False] * 3


def test_an_operator_sees_the_targets_and_the_answers() -> None:
    """Other clients see neither an address nor the status that a server returned."""
    state = PageState().check("redis").check("web", failing_for(9, Reason.HTTP_STATUS))
    secrets = ("redis://cache.internal:6379/0", "got 502, expected 200")
    text = read(render_page(state.verdict(operator())))
    assert all(secret in text for secret in secrets)
    text = read(render_page(state.verdict()))
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (None, ""),
        ("", "A token of an operator shows more."),
        ("has expired", "Your token has expired, so this page shows less."),
    ],
)
def test_the_page_says_whether_a_token_would_show_more(refusal: str | None, words: str) -> None:
    """Once, with details and without."""
    verdict = PAGE_STATES["pass"]().verdict(refusal=refusal)
    for one in (verdict, verdict.without_details):
        text = read(render_page(one))
        assert text.count(" shows more") + text.count("Your token") == bool(words)
        assert words in text


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
    view = OperatorView(
        settings={f"SETTING_NUMBER_{number}": "some value of it" for number in range(30)},
        changed=(),
        targets=defaultdict(lambda: "https://a-service.internal:8443/a/path"),
        clients=clients.all(NOW),
    )
    assert len(check_rows(state.report, state.page())[0].transitions) == 2
    assert len(render_page(state.verdict())) < 60_000  # it is cached
    assert len(render_page(state.verdict(view))) < 65_000


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
        ("postgres", f"{INSTANCE} Passing postgres passes."),
        ("redis", f"{INSTANCE} Failing redis fails."),
    ):
        verdict = single_check_query(name)(state.report, Phase.DRAINING)
        assert verdict
        text = read(render_page(replace(verdict, page=state.page())))
        assert text.startswith(beginning)
    assert "postgres" not in text


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/health", "./metrics"),
        ("/health/", "../metrics"),
        ("/health/ready", "../metrics"),
        ("/health/checks/redis", "../../metrics"),
    ],
)
def test_links_are_relative_to_the_path(api_client: ApiClient, path: str, link: str) -> None:
    """A proxy may serve Vitals under a prefix. A page of another path was cached before."""
    pages = [api_client.get(one, params={"format": "html"}).text for one in ("/readyz", path)]
    assert f'href="{link}"' in pages[1]
