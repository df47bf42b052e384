import os
import tracemalloc
from pathlib import Path

import pytest

from app.settings.secrets import MAX_BYTES, Secret, SecretError, find, key


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
    """Editors leave it there; everything else is meant."""
    (tmp_path / "word").write_bytes(content)
    assert Secret("jwt_secret", tmp_path / "word").read() == read


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing: write the secret into it, or mount it"),
        (b"", "is empty: write the secret into it"),
        (b"\n", "is empty: write the secret into it"),
        (b"CANARY\xff", "is not UTF-8: write it again as text"),
        (b"CANARY" * 11_000, "holds more than 64 KB: write the secret alone into it"),
        (b"\xff\xfeC\0", "is not UTF-8, but looks like UTF-16: save it as UTF-8"),
    ],
)
def test_a_file_that_can_not_be_used_is_named_with_the_remedy(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    """One line, and nothing of what is in it."""
    path = tmp_path / "jwt_secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SecretError) as caught:
        Secret("jwt_secret", path).read()
    assert str(caught.value) == f"jwt_secret: {path} {problem}"


def test_a_file_of_any_size_costs_no_memory(tmp_path: Path) -> None:
    """A secret may have 64 KB; a file of a terabyte is refused without reading on."""
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


def test_a_folder_or_a_pipe_is_not_a_file(tmp_path: Path) -> None:
    """A missing mount leaves a folder behind; a pipe would never end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SecretError, match="is not a file: remove it and put a file in its"):
            Secret("jwt_secret", path).read()


def test_a_path_that_leads_through_a_file_is_told(tmp_path: Path) -> None:
    """Whatever else the operating system says is said in its words."""
    (tmp_path / "file").touch()
    with pytest.raises(SecretError, match=r"can't be read \(Not a directory\): mount a file there"):
        Secret("jwt_secret", tmp_path / "file" / "jwt_secret").read()


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_told_with_owner_mode_and_reader(
    open_folder: Path, closed: str
) -> None:
    """Read by another user: who reads, whose it is, and what to do."""
    path = open_folder / "folder" / "jwt_secret"
    path.parent.mkdir()
    path.write_text(CANARY)
    path.chmod(0o000)
    if closed == "folder":
        path.parent.chmod(0o000)
    seen = as_nobody(path)
    path.parent.chmod(0o700)
    facts = {
        "file": f"owner {os.geteuid()}, mode 0000",
        "folder": "its folder can't be entered",
    }
    reader = os.geteuid() or 65534
    assert seen == (
        f"jwt_secret: {path} can't be read by uid {reader} ({facts[closed]}): "
        "chmod 0444 it and keep its folder 0700"
    )


def as_nobody(path: Path) -> str:
    """Read a secret as a user who is not root, and tell what is said."""
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
    with os.fdopen(reader) as said:
        return said.read()


def test_a_secret_is_found_by_its_name(tmp_path: Path) -> None:
    """In the folder with or without `.txt`, or wherever `NAME_FILE` says."""
    assert find("jwt_secret", tmp_path, {}).path == tmp_path / "jwt_secret"
    (tmp_path / "jwt_secret.txt").touch()
    assert find("jwt_secret", tmp_path, {}).path == tmp_path / "jwt_secret.txt"
    elsewhere = {"JWT_SECRET_FILE": str(tmp_path / "jwt_secret.txt")}
    assert find("jwt_secret", tmp_path, elsewhere).path == tmp_path / "jwt_secret.txt"


def test_one_file_by_two_names_is_one_file(tmp_path: Path) -> None:
    """A link is no contradiction."""
    (tmp_path / "jwt_secret").touch()
    (tmp_path / "jwt_secret.txt").symlink_to(tmp_path / "jwt_secret")
    assert find("jwt_secret", tmp_path, {}).path == tmp_path / "jwt_secret"


@pytest.mark.parametrize(
    "files", [("jwt_secret", "jwt_secret.txt"), ("jwt_secret", "other"), ("jwt_secret.txt", "gone")]
)
def test_two_files_for_one_secret_are_refused(tmp_path: Path, files: tuple[str, str]) -> None:
    """Nobody could tell which one counts; a `NAME_FILE` that is missing counts too."""
    for name in files:
        if name != "gone":
            (tmp_path / name).touch()
    environ = {} if files[1].startswith("jwt") else {"JWT_SECRET_FILE": str(tmp_path / files[1])}
    with pytest.raises(SecretError) as caught:
        find("jwt_secret", tmp_path, environ)
    if environ:
        first, second = f"{tmp_path}/{files[1]} (JWT_SECRET_FILE)", f"{tmp_path}/{files[0]}"
    else:
        first, second = f"{tmp_path}/{files[0]}", f"{tmp_path}/{files[1]}"
    assert str(caught.value) == f"jwt_secret: {first} and {second} both offer it: keep one"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "is missing: write the secret into it, or mount it"),
        ("", "is empty: write the secret into it"),
        ("short", "is shorter than 32 bytes: write a longer one"),
    ],
)
def test_a_file_that_a_variable_names_is_named_with_it(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    """It is the variable that may have to change, and no one finds it by the path."""
    path = tmp_path / "elsewhere"
    if content is not None:
        path.write_text(content)
    secret = find("jwt_secret", tmp_path, {"JWT_SECRET_FILE": str(path)})
    with pytest.raises(SecretError) as caught:
        key(secret)
    assert str(caught.value) == f"jwt_secret: {path} (JWT_SECRET_FILE) {problem}"


@pytest.mark.parametrize("end", ["\r", "\n", "\u200b"])
def test_a_variable_with_what_can_not_be_seen_is_told(tmp_path: Path, end: str) -> None:
    """A file with the line ends of Windows leaves a carriage return, and the path looks right."""
    with pytest.raises(SecretError) as caught:
        find("jwt_secret", tmp_path, {"JWT_SECRET_FILE": f"{tmp_path}/jwt_secret{end}"})
    assert str(caught.value) == (
        "jwt_secret: JWT_SECRET_FILE holds a character that is not printable: write the path again"
    )


def test_a_secret_in_the_environment_is_refused(tmp_path: Path) -> None:
    """The name is told and the value is not; an empty one is none."""
    find("jwt_secret", tmp_path, {"JWT_SECRET": ""})
    with pytest.raises(SecretError) as caught:
        find("jwt_secret", tmp_path, {"JWT_SECRET": CANARY})
    assert str(caught.value) == (
        "JWT_SECRET: a secret has no place in the environment: unset it, use a file"
    )
