import base64
import secrets
import time

import pytest

from app.settings.secrets import BLANK, BOM, hints, undecodable


WORD = "s3cr3t-CANARY"
QUOTED = "stands in quotes, which are part of it: remove them"
ASSIGNED = "reads like NAME=value: keep the value alone"
UNSEEN = "holds a character that is not printable: write it again"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{BOM}{WORD}", ["begins with a byte order mark: save it as UTF-8 without one"]),
        *[(text, [BLANK]) for text in (f" {WORD}", f"{WORD} ", f"{WORD}\n", f"\t{WORD}\r\n")],
        *[(f"{a}{WORD}{b}", [QUOTED]) for a, b in ('""', "''", "``", "\u201c\u201d")],
        (f'"{WORD}" ', [BLANK, QUOTED]),
        (f"{WORD}\n{WORD}", ["has more than one line: keep the one that is meant"]),
        (
            WORD.encode("utf-16-le").decode(),
            ["holds NUL characters, as UTF-16 does: save it as UTF-8"],
        ),
        *[(f"{WORD}{one}x", [UNSEEN]) for one in ("\u200b", "\x1b")],
        *[
            (f"{name}{WORD}", [ASSIGNED])
            for name in ("POSTGRES_PASSWORD=", "password: ", "export JWT_SECRET=", "redis-token = ")
        ],
        (
            base64.b64encode(WORD.encode()).decode(),
            ["looks like a text in base64: write that text itself"],
        ),
    ],
)
def test_what_looks_wrong_is_a_hint(text: str, found: list[str]) -> None:
    """Each with its remedy, and nothing of the secret in it."""
    assert hints(text) == found
    assert "CANARY" not in " ".join(found)


@pytest.mark.parametrize(
    "text",
    [
        WORD,
        "two words",
        "it's",
        '"',
        "a=b",
        "password",
        "https://h/?token=x",
        "w\u00f6rd",
        "x" * 65,
    ],
)
def test_what_may_well_be_meant_is_none(text: str) -> None:
    """A hint that is often wrong is one that no one reads."""
    assert hints(text) == []


def test_what_is_made_here_and_elsewhere_is_none() -> None:
    """`vitals secrets init`, and `openssl rand` with -base64 or -hex."""
    for _ in range(500):
        data = secrets.token_bytes(32)
        for text in (secrets.token_urlsafe(32), base64.b64encode(data).decode(), data.hex()):
            assert hints(text) == []


@pytest.mark.parametrize("unit", ["a", "\n", " ", "password", '"', "a\n", "=", "\0"])
def test_a_long_text_takes_no_long_time(unit: str) -> None:
    """Whatever it holds: a pattern that tries too much takes minutes."""
    begun = time.process_time()
    hints(unit * (65536 // len(unit)))
    assert time.process_time() - begun < 2


def test_a_file_that_is_not_utf_8_may_be_utf_16() -> None:
    """As Windows saves it, in either order of its bytes."""
    remedy = "is not UTF-8, but looks like UTF-16: save it as UTF-8"
    for order in ("utf-16-le", "utf-16-be"):
        assert undecodable((BOM + WORD).encode(order)) == remedy
    assert undecodable(b"CANARY\xff") == "is not UTF-8: write it again as text"
