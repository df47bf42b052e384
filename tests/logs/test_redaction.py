"""No secret stands in a text, however it was written there."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from app.logs.redaction import TELLING, Redactor


# It looks different wherever it is quoted.
WORD = "k\u00e9y>>> \"of\" /half\\a~dozen?? 100% 'words'"

DRESSES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "repr": repr,
    "ascii": ascii,
    "octets": lambda word: repr(word.encode()),
    "latin": lambda word: word.encode().decode("latin-1"),
    "hex": lambda word: word.encode().hex(),
    "HEX": lambda word: word.encode().hex().upper(),
    "quoted": quote,
    "quoted all": lambda word: quote(word, safe=""),
    "form": quote_plus,
    "cut": lambda word: word[: TELLING + 1],
    **{
        f"base64 after {user or 'nothing'}": lambda word, user=user: b64encode(  # type: ignore[misc]
            f"{user}{word}".encode()
        ).decode()
        for user in ("", "u:", "me:", "you:")
    },
    "base64 for URLs": lambda word: urlsafe_b64encode(word.encode()).decode(),
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no route to db.internal:5432", "no route to db.internal:5432"),
        ("can't reach redis://user:word@host/0", "can't reach redis://***host/0"),
        ("sent Authorization: Bearer abc.def.ghi", "sent Authorization: Bearer ***"),
        ("in host=x password=word user=y", "in host=x password=*** user=y"),
        (
            "can't reach postgresql://user:a/b@c@host/db now",
            "can't reach postgresql://***host/db now",
        ),
        ("Password: word, it said", "Password: *** it said"),
        ('{"password": "word"}', '{"password": ***'),
        (
            'password authentication failed for user "x"',
            'password authentication failed for user "x"',
        ),
    ],
)
def test_what_looks_like_credentials_is_taken_out(text: str, told: str) -> None:
    """Wherever it stands in a text."""
    assert redactor().redact(text) == told


def redactor(*words: str) -> Redactor:
    """One that has read these secrets."""
    redactor = Redactor({word: word for word in words}.__getitem__)
    for word in words:
        assert redactor.read(word) == word
    return redactor


def test_each_secret_that_was_read_is_taken_out() -> None:
    """As it was when last read, and wherever it stands."""
    told = redactor("plain word", "other").redact("it said plain word, other and plain word")
    assert told == "it said ***, *** and ***"


def test_what_a_secret_is_now_is_taken_out_wherever_it_lies() -> None:
    """A replaced one from when it is read; what becomes of the file does not matter."""
    words = ["the new one", "the old one"]
    redactor = Redactor(lambda _: words.pop())
    redactor.read("word")
    assert redactor.redact("the old one, the new one") == "***, the new one"
    redactor.read("word")
    assert redactor.redact("the new one") == "***"


@pytest.mark.parametrize("dress", DRESSES)
def test_a_secret_is_taken_out_in_every_dress(dress: str) -> None:
    """Quoted, encoded or cut off; of base64 its first and last letters may be left."""
    told = redactor(WORD).redact(f"it said {DRESSES[dress](WORD)}, twice")
    assert told.startswith("it said ")
    assert told.endswith(", twice")
    assert "***" in told
    assert len(told) <= len("it said ***, twice") + (9 if dress[:4] == "base" else 3)


def test_a_short_secret_leaves_the_text_readable() -> None:
    """It is taken out as it is, and nothing that merely begins as it does."""
    assert redactor("ab").redact("an absolute ab: abba") == "an ***solute ***: ***ba"
