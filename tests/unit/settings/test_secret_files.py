import os
import tracemalloc
from pathlib import Path

import pytest

from app.settings.secrets import MAX_BYTES, Secret, SecretError, find_secret, read_signing_key


CANARY = "CANARY"


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (b"word", "word"),
        (b"word\n", "word"),
        (b"word\r\n", "word"),
        (b"word\n\n", "word\n"),
        (b" two words ", " two words "),
        ("wörd".encode(), "wörd"),
    ],
)
def test_one_trailing_newline_is_not_part_of_a_secret(
    tmp_path: Path, content: bytes, read: str
) -> None:
    """Editors add it. Everything else is part of it."""
    (tmp_path / "word").write_bytes(content)
    assert Secret("jwt_secret", tmp_path / "word").read() == read


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing. Write the secret into it, or mount it."),
        (b"", "is empty. Write the secret into it."),
        (b"\n", "is empty. Write the secret into it."),
        (b"CANARY\xff", "is not UTF-8. Save it as UTF-8."),
        (b"CANARY" * 11_000, "holds more than 64 KB. Write only the secret into it."),
        (b"\xff\xfeC\0", "is not UTF-8, but probably UTF-16. Save it as UTF-8."),
    ],
)
def test_an_unusable_file_is_reported_with_the_remedy(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """In one line, without its content."""
    path = tmp_path / "jwt_secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        Secret("jwt_secret", path).read()
    assert str(caught.value) == f"jwt_secret: {path} {problem}"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A secret may have 64 KB. A file of a terabyte is rejected after the first bytes."""
    (path := tmp_path / "jwt_secret").write_text("k" * MAX_BYTES)
    assert len(Secret("jwt_secret", path).read()) == MAX_BYTES
    os.truncate(path, 2**40)
    tracemalloc.start()
    try:
        with pytest.raises(SecretError, match="holds more than 64 KB"):
            Secret("jwt_secret", path).read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * MAX_BYTES


def test_a_folder_or_a_pipe_is_rejected(tmp_path: Path) -> None:
    """A missing mount leaves a folder, and reading a pipe would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretError, match=r"is not a file\. Replace it with a file\."):
            Secret("jwt_secret", path).read()


def test_another_error_of_the_system_is_reported(tmp_path: Path) -> None:
    """In the words of the operating system."""
    (tmp_path / "file").touch()
    with pytest.raises(
        SecretError, match=r"can't be read \(Not a directory\)\. Mount a file there\."
    ):
        Secret("jwt_secret", tmp_path / "file" / "jwt_secret").read()


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_an_unreadable_file_is_reported_with_owner_mode_and_reader(
    open_folder: Path, closed: str
) -> None:
    """With the remedy, and without the content."""
    path = open_folder / "folder" / "jwt_secret"
    path.parent.mkdir()
    path.write_text(CANARY)
    path.chmod(0o000)
    if closed == "folder":
        path.parent.chmod(0o000)
    message = read_unprivileged(path)
    path.parent.chmod(0o700)
    facts = {
        "file": f"owner {os.geteuid()}, mode 0000",
        "folder": "its folder can't be entered",
    }
    reader = os.geteuid() or 65534
    remedies = {
        "file": "Set its mode to 0444, and that of its folder to 0700.",
        "folder": f"Let uid {reader} enter the folder.",
    }
    assert message == (
        f"jwt_secret: {path} can't be read by uid {reader} ({facts[closed]}). {remedies[closed]}"
    )


def read_unprivileged(path: Path) -> str:
    """Read a secret as a user other than root, and return the error message."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            Secret("jwt_secret", path).read()
        except SecretError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


def test_a_secret_is_found_by_its_name(tmp_path: Path) -> None:
    """In the folder with or without `.txt`, or where `NAME_FILE` is."""
    assert find_secret("jwt_secret", tmp_path, {}).path == tmp_path / "jwt_secret"
    (tmp_path / "jwt_secret.txt").touch()
    assert find_secret("jwt_secret", tmp_path, {}).path == tmp_path / "jwt_secret.txt"
    elsewhere = {"JWT_SECRET_FILE": str(tmp_path / "jwt_secret.txt")}
    assert find_secret("jwt_secret", tmp_path, elsewhere).path == tmp_path / "jwt_secret.txt"


def test_two_names_of_one_file_are_accepted(tmp_path: Path) -> None:
    """As with a link."""
    (tmp_path / "jwt_secret").touch()
    (tmp_path / "jwt_secret.txt").symlink_to(tmp_path / "jwt_secret")
    assert find_secret("jwt_secret", tmp_path, {}).path == tmp_path / "jwt_secret"


@pytest.mark.parametrize(
    "files", [("jwt_secret", "jwt_secret.txt"), ("jwt_secret", "other"), ("jwt_secret.txt", "gone")]
)
def test_two_files_of_one_secret_are_rejected(tmp_path: Path, files: tuple[str, str]) -> None:
    """It would be unclear which one is used. A missing `NAME_FILE` counts too."""
    for name in files:
        if name != "gone":
            (tmp_path / name).touch()
    environ = {} if files[1].startswith("jwt") else {"JWT_SECRET_FILE": str(tmp_path / files[1])}
    with pytest.raises(SecretError) as caught:
        find_secret("jwt_secret", tmp_path, environ)
    if environ:
        first, second = f"{tmp_path}/{files[1]} (JWT_SECRET_FILE)", f"{tmp_path}/{files[0]}"
    else:
        first, second = f"{tmp_path}/{files[0]}", f"{tmp_path}/{files[1]}"
    assert str(caught.value) == f"jwt_secret: {first} and {second} both offer it. Keep one."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing. Write the secret into it, or mount it."),
        ("", "is empty. Write the secret into it."),
        ("short", "is shorter than 32 bytes. Write a longer one."),
    ],
)
def test_an_error_names_the_variable_of_the_file(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    """The variable may have to change, and the path does not lead to it."""
    path = tmp_path / "elsewhere"
    if content is not None:
        path.write_text(content)
    secret = find_secret("jwt_secret", tmp_path, {"JWT_SECRET_FILE": str(path)})
    with pytest.raises(SecretError) as caught:
        read_signing_key(secret)
    assert str(caught.value) == f"jwt_secret: {path} (JWT_SECRET_FILE) {problem}"


@pytest.mark.parametrize("end", ["\r", "\n", "\u200b"])
def test_an_unprintable_character_in_a_variable_is_reported(tmp_path: Path, end: str) -> None:
    """Windows line ends leave a carriage return, and the path looks right."""
    with pytest.raises(SecretError) as caught:
        find_secret("jwt_secret", tmp_path, {"JWT_SECRET_FILE": f"{tmp_path}/jwt_secret{end}"})
    assert str(caught.value) == (
        "jwt_secret: JWT_SECRET_FILE contains a character that is not printable. Remove it."
    )


def test_quotes_in_a_variable_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        find_secret("jwt_secret", tmp_path, {"JWT_SECRET_FILE": f'"{tmp_path}/jwt_secret"'})
    assert str(caught.value) == (
        "jwt_secret: JWT_SECRET_FILE is in quotes, which are part of the value. Remove them."
    )


def test_a_secret_in_the_environment_is_rejected(tmp_path: Path) -> None:
    """With its name and without its value. An empty value counts as unset."""
    find_secret("jwt_secret", tmp_path, {"JWT_SECRET": ""})
    with pytest.raises(SecretError) as caught:
        find_secret("jwt_secret", tmp_path, {"JWT_SECRET": CANARY})
    assert str(caught.value) == (
        "JWT_SECRET: a secret is not allowed in the environment. Unset it, and use a file instead."
    )
