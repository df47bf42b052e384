"""Redaction removes secrets from texts, in every encoding."""

import json
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from app.settings.redaction import MIN_PREFIX
from app.settings.secrets import MAX_BYTES, Secret, SecretError, SecretStore
from app.text import MAX_LENGTH


# A secret that every encoding changes.
VALUE = "k\u00e9y>>> \"of\" /half\\a~dozen?? 100% 'words'"

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "repr": repr,
    "ascii": ascii,
    "octets": lambda secret: repr(secret.encode()),
    "latin": lambda secret: secret.encode().decode("latin-1"),
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    "quoted": quote,
    "quoted all": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "cut": lambda secret: secret[: MIN_PREFIX + 1],
    **{
        f"base64 after {user or 'nothing'}": lambda secret, user=user: b64encode(  # type: ignore[misc]
            f"{user}{secret}".encode()
        ).decode()
        for user in ("", "u:", "me:", "you:")
    },
    "base64 for URLs": lambda secret: urlsafe_b64encode(secret.encode()).decode(),
}


@pytest.mark.parametrize(
    ("text", "expected"),
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
            (f"x_password: {problem}", f"x_password: {problem}")
            for problem in (
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
def test_what_looks_like_credentials_is_removed(text: str, expected: str) -> None:
    """Names of files in our own messages stay."""
    assert store_of().redact(text) == expected


def missing(file: Path) -> None:
    """Create no file."""


def empty(file: Path) -> None:
    """Create an empty file."""
    file.touch()


def binary(file: Path) -> None:
    """Create a file that is not UTF-8."""
    file.write_bytes(b"\xff")


def folder(file: Path) -> None:
    """Create a folder of that name."""
    file.mkdir()


def loop(file: Path) -> None:
    """Create a symbolic link to itself."""
    file.symlink_to(file)


def huge(file: Path) -> None:
    """Create a file that is too long."""
    file.write_bytes(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize("spoil", [missing, empty, binary, folder, loop, huge])
def test_the_path_of_a_secrets_file_is_kept(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """It is no password, although it follows `postgres_password:`."""
    spoil(file := tmp_path / "postgres_password")
    with pytest.raises(SecretError) as raised:
        Secret(file.name, file).read()
    text = f"CredentialError: {raised.value}"
    assert str(file) in store_of().redact(text) == text


def store_of(*secrets: str) -> SecretStore:
    """Return a store that has read these secrets."""
    store = SecretStore({secret: secret for secret in secrets}.__getitem__)
    for secret in secrets:
        assert store.read(secret) == secret
    return store


def test_each_secret_that_was_read_is_removed() -> None:
    """Everywhere in the text."""
    text = store_of("plain word", "other").redact("it said plain word, other and plain word")
    assert text == "it said ***, *** and ***"


def test_the_value_that_was_read_last_is_removed() -> None:
    """A rotated secret counts from the moment when it is read."""
    values = ["the new one", "the old one"]
    store = SecretStore(lambda _: values.pop())
    store.read("name")
    assert store.redact("the old one, the new one") == "***, the new one"
    store.read("name")
    assert store.redact("the new one") == "***"


@pytest.mark.parametrize(
    ("url", "text", "redacted"),
    [
        (
            "postgresql://a:p%40ss@db/o",
            "postgresql db rejects p@ss, p%40ss",
            "postgresql db rejects ***, ***",
        ),
        ("redis://cache?password=p%40ss", "redis cache rejects p@ss", "redis cache rejects ***"),
        ("redis://:p@s:s@cache/0", "redis cache rejects p@s:s", "redis cache rejects ***"),
        ("Redis://:word@cache/0", "redis cache rejects word", "redis cache rejects ***"),
        ("https://host/hook/T0K?k=S3", "https://host/hook/T0K?k=S3 fails", "https://host*** fails"),
        ("tcp://host:1", "tcp://host:1 fails", "*** fails"),
    ],
)
def test_the_secret_parts_of_a_url_are_removed(url: str, text: str, redacted: str) -> None:
    """The password, also decoded, and the path with the query. The scheme and the host stay."""
    assert store_of(url).redact(text) == redacted


def test_a_long_url_takes_no_time() -> None:
    """A backtracking pattern would take hours."""
    assert store_of("redis://" + "a:@" * (MAX_BYTES // 3)).redact("redis fails") == "redis fails"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_removed_in_every_encoding(encoding: str) -> None:
    """Of base64 the first and the last letters may stay."""
    text = store_of(VALUE).redact(f"it said {ENCODINGS[encoding](VALUE)}, twice")
    assert text.startswith("it said ")
    assert text.endswith(", twice")
    assert "***" in text
    assert len(text) <= len("it said ***, twice") + (9 if encoding[:4] == "base" else 3)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_cut_text_does_not_end_in_the_beginning_of_a_secret(encoding: str) -> None:
    """At any position of the cut, even if what is left of the secret is short."""
    encoded = ENCODINGS[encoding](VALUE)
    for length in range(len(encoded) + 3):
        text = "\N{SNOWMAN}" * (MAX_LENGTH - length) + encoded + "\N{COMET}" * MAX_LENGTH
        redacted = store_of(VALUE).redact(text)
        assert len(redacted) <= MAX_LENGTH
        assert redacted.endswith("\u2026")
        # In base64 the first letter also encodes bits of the character before the secret.
        assert len(redacted.strip("\N{SNOWMAN}\N{COMET}*\u2026")) <= (
            9 if encoding[:4] == "base" else 2
        )


@pytest.mark.parametrize("announced", ["redis://me:", "Bearer ", "password=", '"password": "'])
def test_credentials_that_are_cut_off_are_removed(announced: str) -> None:
    """Their end, such as the @ of a URL, is missing in the text."""
    for length in range(20, 60):
        text = "x " * ((MAX_LENGTH - length) // 2) + announced + "S3CR" * 90 + "@host"
        assert "S3" not in store_of().redact(text)


def test_a_secret_that_repeats_itself_is_removed_whole() -> None:
    """Its beginning matches at several positions that overlap."""
    assert store_of("a" * 9 + "b").redact(f"it said {'a' * 12}b, twice") == "it said ***, twice"


def test_the_work_does_not_grow_with_the_secret_or_the_text() -> None:
    """Only the beginning of either is read, no matter how long they are."""
    secret = "".join(map(chr, range(0x4E00, 0x9E00))) * 50
    text, redact = f"it said {secret} {secret!r}", store_of(secret).redact
    tracemalloc.start()
    try:
        redacted = redact(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert redacted == "it said ***\u2026"
    assert peak < 500_000  # of the text's 6 MB


def test_a_short_secret_leaves_the_text_readable() -> None:
    """Only the secret itself is removed, and no text that only starts like it."""
    assert store_of("ab").redact("an absolute ab: abba") == "an ***solute ***: ***ba"
