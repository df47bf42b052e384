"""No secret stands in a text, however it was written there."""

import json
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from app.logs.redaction import TELLING, Redactor
from app.settings.secrets import MAX_BYTES, Secret, SecretError
from app.text import MAX_LENGTH


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
        ("password: w/rd is wrong", "password: *** is wrong"),
        ("password=w/rd is empty", "password=*** is empty"),
        ('"password": "w/rd is missing', '"password": *** is missing'),
        *(
            (f"x_password: {told}", f"x_password: {told}")
            for told in (
                "/run/secrets/x_password can't be read by uid 10001 (owner 0, mode 0400): ...",
                "/one/x_password and /run/secrets/x_password both offer it: keep one",
                "/one/x_password (X_PASSWORD_FILE) is missing: write the secret into it",
                "/one/x_password (X_PASSWORD_FILE) and /run/x_password both offer it: keep one",
            )
        ),
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


def missing(file: Path) -> None:
    """Have no file."""


def empty(file: Path) -> None:
    """Have nothing in it."""
    file.touch()


def binary(file: Path) -> None:
    """Have no text in it."""
    file.write_bytes(b"\xff")


def folder(file: Path) -> None:
    """Have no file, but something of its name."""
    file.mkdir()


def loop(file: Path) -> None:
    """Have what can't be followed."""
    file.symlink_to(file)


def huge(file: Path) -> None:
    """Have more in it than a secret may."""
    file.write_bytes(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize("spoil", [missing, empty, binary, folder, loop, huge])
def test_the_file_of_a_secret_is_told(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """What is wrong with a file is no password, although `postgres_password:` stands before it."""
    spoil(file := tmp_path / "postgres_password")
    with pytest.raises(SecretError) as raised:
        Secret(file.name, file).read()
    told = f"CredentialError: {raised.value}"
    assert str(file) in redactor().redact(told) == told


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


@pytest.mark.parametrize("dress", DRESSES)
def test_a_text_is_cut_without_a_secrets_beginning(dress: str) -> None:
    """Wherever in a secret the cut falls, and whatever of it is too short to be recognised."""
    dressed = DRESSES[dress](WORD)
    for length in range(len(dressed) + 3):
        text = "\N{SNOWMAN}" * (MAX_LENGTH - length) + dressed + "\N{COMET}" * MAX_LENGTH
        told = redactor(WORD).redact(text)
        assert len(told) <= MAX_LENGTH
        assert told.endswith("\u2026")
        # Of base64 in the middle of a text the first letter belongs to what stands before.
        assert len(told.strip("\N{SNOWMAN}\N{COMET}*\u2026")) <= (9 if dress[:4] == "base" else 2)


@pytest.mark.parametrize("announced", ["redis://me:", "Bearer ", "password=", '"password": "'])
def test_credentials_that_are_cut_off_are_taken_out(announced: str) -> None:
    """Their end, such as the @ of a URL, is not in the text."""
    for length in range(20, 60):
        text = "x " * ((MAX_LENGTH - length) // 2) + announced + "W0RD" * 90 + "@host"
        assert "W0" not in redactor().redact(text)


def test_a_secret_that_repeats_itself_is_taken_out_whole() -> None:
    """Its beginning is found several times, each a little further on."""
    assert redactor("a" * 9 + "b").redact(f"it said {'a' * 12}b, twice") == "it said ***, twice"


def test_the_work_does_not_grow_with_the_secret_or_the_text() -> None:
    """Both may have any length: no more than the beginning of either is looked at."""
    secret = "".join(map(chr, range(0x4E00, 0x9E00))) * 50
    text, redact = f"it said {secret} {secret!r}", redactor(secret).redact
    tracemalloc.start()
    try:
        told = redact(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told == "it said ***\u2026"
    assert peak < 500_000  # of the text's 6 MB


def test_a_short_secret_leaves_the_text_readable() -> None:
    """It is taken out as it is, and nothing that merely begins as it does."""
    assert redactor("ab").redact("an absolute ab: abba") == "an ***solute ***: ***ba"
