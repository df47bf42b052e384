import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

import app
from app.api.clients import MAX_CLIENTS, Clients
from app.api.page import POLICY, page, rows
from app.api.verdict import HistorySnapshot, OperatorView, single_check
from app.health import Check, Reason, Report
from app.health.reasons import Advice
from app.lifecycle import Phase
from tests.api.scenes import MINUTE, NOW, SCENES, Scene, lived, now_and_then, operator, since
from tests.fakes import answers


def read(text: bytes) -> str:
    """What a page says to whoever sees it."""
    bare = re.sub(r"(?s)<(style|script|title).*?</\1>|<[^>]*>", " ", text.decode())
    return " ".join(bare.split())


def test_a_failing_check_is_told_with_what_to_try() -> None:
    """Its reason in words, how long, how fast, how often, and what came before."""
    shown = page(SCENES["fail"]().verdict())
    text = read(shown)
    assert text.startswith("Failing postgres fails, so whoever asks is told to send no work here.")
    assert "Phase serving Answer 503" in text
    assert f"Vitals {app.__version__}" in text
    assert "As of 03:00:00 UTC" in text
    assert 'title="since 2026-11-24T02:58:28.000Z"' in shown.decode()
    row = text[text.index("postgres fails for") : text.index("redis")]
    assert row == (
        "postgres fails for 1 min 32 s Latency \N{EN DASH} up to 24 ms 10 min "
        "Available 87.20% of 11 min 59 s timeout It accepts the connection, but does not answer "
        "in time. Look at its load, locks and disk; it may be frozen. A timeout that is too short "
        "for it is raised with CHECK_TIMEOUT. "
        "02:58:28 fails: timeout 1 min 32 s 02:48:01 passes 10 min 27 s "
    )


def test_what_is_worst_comes_first() -> None:
    """Required before optional, and otherwise in the order of the configuration."""
    scene = Scene().check("a").check("b", since(9, Reason.DNS), required=False)
    scene.check("c", since(9, Reason.TLS)).check("d")
    assert [row.name for row in rows(scene.report, scene.snapshot())] == ["c", "b", "a", "d"]


def test_a_check_that_has_never_turned_has_no_changes() -> None:
    """Nor has one without a result anything to measure."""
    starting = SCENES["starting"]()
    new, steady = rows(starting.report, starting.snapshot())
    assert (new.words, new.latency, new.availability, new.changes) == (
        "no result yet",
        None,
        None,
        [],
    )
    assert (steady.words, steady.availability, steady.changes) == ("passes", "100%", [])


def test_changes_are_shared_out_among_many_checks() -> None:
    """Five of each, or two of thirty; the rest is counted."""
    flapping = now_and_then(Reason.DISCONNECTED, 60, 5)
    for checks, shown in ((2, 5), (30, 2)):
        scene = Scene()
        for number in range(checks):
            scene.check(f"it-{number}", flapping)
        row = rows(scene.report, scene.snapshot())[0]
        assert (len(row.changes), row.earlier) == (shown, 23 - shown)


def test_a_threshold_that_holds_a_turn_back_is_told() -> None:
    """The status stays, but what is seen meanwhile shows."""
    check = Check(name="it", probe=answers, failure_threshold=3, success_threshold=3)
    for story, told in (
        (since(1, Reason.TIMEOUT), "passes, but 2 failed in a row"),
        (lambda ago: None if ago < 1 else Reason.DNS, "fails, but 1 passed in a row"),
    ):
        known, history = lived(check, story, 60)
        (row,) = rows(Report((known,)), HistorySnapshot(now=NOW, histories={"it": history}))
        assert row.words == told
        assert row.advice
        assert (row.latency is None) is (known.failures > 0)


def test_a_check_that_passes_may_have_advice() -> None:
    """It stands without a reason."""
    check = Check(name="it", probe=answers)
    known, history = lived(check, lambda _: None, 60)
    known = replace(known, hint=Advice("It is odd.", "Look at it."))
    scene = Scene().check("it")
    verdict = replace(scene.verdict(), report=Report((known,)))
    shown = page(
        replace(verdict, snapshot=HistorySnapshot(now=NOW, histories={"it": history}))
    ).decode()
    assert "<p>It is odd.</p>\n<p>Look at it.</p>" in shown


def test_a_check_that_went_stale_unheard_is_among_the_changes() -> None:
    """Also where the watch has died that would have recorded it."""
    scene = Scene().check("it")
    later = NOW + 60
    (row,) = rows(scene.report.at(later), replace(scene.snapshot(), now=later))
    assert row.latency is None
    told = [(change.words, change.lasted) for change in row.changes]
    assert told == [("fails: stale", "57 s"), ("passes", "12 min 1 s")]


@pytest.mark.parametrize("phase", Phase)
def test_a_stranger_is_told_the_code_and_the_status(phase: Phase) -> None:
    """No check, no phase, no version; also not where nobody looks."""
    scene = Scene(phase).check("postgres", since(9, Reason.DNS))
    shown = page(scene.verdict(operator()).bare)
    assert scene.verdict(operator()).bare.snapshot is None
    assert read(shown) == "fail 503"
    for secret in ("postgres", phase.value, app.__version__, "DATABASE_URL"):
        assert secret not in re.sub(r"(?s)<(style|script|symbol).*?</\1>", "", shown.decode())


def test_what_probers_call_themselves_is_text() -> None:
    """A user agent can't write the page."""
    shown = page(SCENES["pass"]().verdict(operator())).decode()
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown


def test_an_operator_sees_who_asks_and_what_is_set() -> None:
    """Nobody else does."""
    text = read(page(SCENES["pass"]().verdict(operator())))
    assert "HAProxy 2 a second 0.5 s ago kube-probe/1.34 every 10 s 3 s ago" in text
    assert "CHECK_INTERVAL 1" in text
    assert "HAProxy" not in read(page(SCENES["pass"]().verdict()))


def test_the_worst_page_of_thirty_checks_is_small() -> None:
    """Each flaps, fails, and has a long name; as many probers as are told apart."""
    scene = Scene()
    for number in range(30):
        scene.check(
            f"a-service-with-a-long-name-{number:02}",
            lambda ago: None if ago % 3 else Reason.STALE,
        )
    clients = Clients()
    for number in range(2 * MAX_CLIENTS):
        clients.asked(
            (f"Mozilla/5.0 (number {number}) " + "x" * 1000).encode(), NOW.steady - MINUTE
        )
    settings = {f"SETTING_NUMBER_{number}": "some value of it" for number in range(30)}
    shown = page(scene.verdict(OperatorView(clients.all(NOW), settings)))
    assert len(rows(scene.report, scene.snapshot())[0].changes) == 2
    assert len(shown) < 60_000


def test_the_policy_names_what_is_in_the_page() -> None:
    """By its hash: another style or script, wherever it comes from, does nothing."""
    shown = page(SCENES["pass"]().verdict()).decode()
    for kind in ("style", "script"):
        (source,) = re.findall(rf"(?s)<{kind}>(.*?)</{kind}>", shown)
        digest = b64encode(sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; ")


def test_what_was_not_understood_is_told() -> None:
    """As in JSON."""
    verdict = replace(SCENES["pass"]().verdict(), warnings=("no check is named x",))
    assert "no check is named x" in read(page(verdict))


def test_one_check_has_a_page_of_its_own() -> None:
    """It speaks of that check and of nothing else."""
    scene = Scene(Phase.DRAINING).check("postgres").check("redis", since(9, Reason.DNS))
    for name, told in (("postgres", "Passing postgres passes."), ("redis", "Failing redis fails.")):
        found = single_check(name)(scene.report, Phase.DRAINING)
        assert found
        text = read(page(replace(found, snapshot=scene.snapshot())))
        assert text.startswith(told)
    assert "postgres" not in text
