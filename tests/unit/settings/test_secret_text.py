import base64
import secrets
import time

import pytest

from app.settings.secrets import BOM, WHITESPACE, describe_undecodable, find_hints


WORD = "s3cr3t-CANARY"
QUOTED = "is in quotes, which are part of the secret. Remove them."
ASSIGNED = "looks like NAME=value. Keep only the value."
UNSEEN = "contains a character that is not printable. Remove it."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{BOM}{WORD}", ["begins with a byte order mark. Save it as UTF-8 without one."]),
        *[(text, [WHITESPACE]) for text in (f" {WORD}", f"{WORD} ", f"{WORD}\n", f"\t{WORD}\r\n")],
        *[(f"{a}{WORD}{b}", [QUOTED]) for a, b in ('""', "''", "``", "\u201c\u201d")],
        (f'"{WORD}" ', [WHITESPACE, QUOTED]),
        (f"{WORD}\n{WORD}", ["has more than one line. Keep the line with the secret."]),
        (
            WORD.encode("utf-16-le").decode(),
            ["contains NUL characters, as UTF-16 does. Save it as UTF-8."],
        ),
        *[(f"{WORD}{one}x", [UNSEEN]) for one in ("\u200b", "\x1b")],
        *[
            (f"{name}{WORD}", [ASSIGNED])
            for name in ("POSTGRES_PASSWORD=", "password: ", "export JWT_SECRET=", "redis-token = ")
        ],
        (
            base64.b64encode(WORD.encode()).decode(),
            ["looks like a text in base64. Write the decoded text."],
        ),
    ],
)
def test_suspicious_content_is_a_hint(text: str, found: list[str]) -> None:
    """With its remedy, and without the secret."""
    assert list(find_hints(text)) == found
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
def test_ordinary_content_has_no_hint(text: str) -> None:
    """Wrong hints would make users ignore all of them."""
    assert list(find_hints(text)) == []


def test_generated_secrets_have_no_hint() -> None:
    """Those of `vitals secrets init`, and of `openssl rand` with -base64 or -hex."""
    for _ in range(500):
        data = secrets.token_bytes(32)
        for text in (secrets.token_urlsafe(32), base64.b64encode(data).decode(), data.hex()):
            assert list(find_hints(text)) == []


@pytest.mark.parametrize("unit", ["a", "\n", " ", "password", '"', "a\n", "=", "\0"])
def test_a_long_text_is_searched_quickly(unit: str) -> None:
    """A pattern with backtracking would take minutes."""
    begun = time.process_time()
    list(find_hints(unit * (65536 // len(unit))))
    assert time.process_time() - begun < 2


def test_utf_16_is_recognised() -> None:
    """As Windows saves it, in either byte order."""
    remedy = "is not UTF-8, but probably UTF-16. Save it as UTF-8."
    for order in ("utf-16-le", "utf-16-be"):
        assert describe_undecodable((BOM + WORD).encode(order)) == remedy
    assert describe_undecodable(b"CANARY\xff") == "is not UTF-8. Save it as UTF-8."
