"""No secret stands in a text, however it was written there."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from app.redaction import TELLING, redact
from app.secrets import Secret


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
    ],
)
def test_what_looks_like_credentials_is_taken_out(text: str, told: str) -> None:
    """Wherever it stands in a text."""
    assert redact(text) == told


def test_a_secret_is_taken_out_however_it_looks(tmp_path: Path) -> None:
    """Those that can be read; one that can't be is no reason to say nothing."""
    (tmp_path / "word").write_text("plain word")
    secrets = [Secret("jwt_secret", tmp_path / "gone"), Secret("jwt_secret", tmp_path / "word")]
    assert redact("it said plain word, twice: plain word", secrets) == "it said ***, twice: ***"


@pytest.mark.parametrize("dress", DRESSES)
def test_a_secret_is_taken_out_in_every_dress(tmp_path: Path, dress: str) -> None:
    """Quoted, encoded or cut off; of base64 its first and last letters may be left."""
    (tmp_path / "word").write_text(WORD)
    dressed = DRESSES[dress](WORD)
    told = redact(f"it said {dressed}, twice", [Secret("jwt_secret", tmp_path / "word")])
    assert told.startswith("it said ")
    assert told.endswith(", twice")
    assert "***" in told
    assert len(told) <= len("it said ***, twice") + (9 if dress[:4] == "base" else 3)


def test_a_short_secret_leaves_the_text_readable(tmp_path: Path) -> None:
    """It is taken out as it is, and nothing that merely begins as it does."""
    (tmp_path / "word").write_text("ab")
    told = redact("an absolute ab: abba", [Secret("jwt_secret", tmp_path / "word")])
    assert told == "an ***solute ***: ***ba"
