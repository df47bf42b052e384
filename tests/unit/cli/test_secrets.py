import contextlib
import os
import re
import resource
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.settings.secrets import SECRETS
from tests.unit.cli.conftest import Call, end, start


@pytest.fixture(name="umask", params=[0o000, 0o022, 0o077], ids="{:03o}".format)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Limit files to ten bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mode(path: Path) -> int:
    """Return the permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, str]:
    """Read every file."""
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.usefixtures("umask")
def test_init_creates_the_missing_files(folder: Path, call: Call) -> None:
    """With the right modes for any umask."""
    result = call("secrets", "init", "--dir", folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [f"{name}: created {folder}/{name}.txt" for name in SECRETS]
    assert contents(folder).keys() == {f"{name}.txt" for name in SECRETS}
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o444}


def test_the_default_folder_is_secrets(tmp_path: Path) -> None:
    """In the working directory."""
    for command in (("init",), ("check",), ("rotate", "jwt_secret")):
        assert end(start("secrets", *command, cwd=tmp_path)).code == 0
    assert len(contents(tmp_path / "secrets")) == len(SECRETS)


def test_a_generated_secret_needs_no_quotes(full: Path) -> None:
    """In a URL or a shell. Each is different and has 256 bits."""
    made = contents(full)
    user = made.pop("minio_user.txt")
    assert re.fullmatch("minio-[0-9a-f]{8}", user)
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", word) for word in made.values())
    assert len(set(made.values())) == len(made)


def test_init_keeps_existing_secrets(full: Path, call: Call) -> None:
    """It corrects their modes."""
    before = contents(full)
    (full / "jwt_secret.txt").chmod(0o600)
    full.chmod(0o755)
    lines = call("secrets", "init", "--dir", full).out.splitlines()
    assert lines[0] == f"postgres_password: kept {full}/postgres_password.txt"
    assert lines[2] == f"jwt_secret: kept {full}/jwt_secret.txt, changed its mode to 0444"
    assert contents(full) == before
    assert mode(full) == 0o700
    assert {mode(path) for path in full.iterdir()} == {0o444}


def test_init_creates_no_second_file_of_a_secret(folder: Path, call: Call) -> None:
    """The service would not start with two. A broken link counts as a file."""
    folder.mkdir()
    (folder / "jwt_secret").write_text("mine")
    (folder / "minio_user.txt").symlink_to("nowhere")
    lines = call("secrets", "init", "--dir", folder).out.splitlines()
    assert lines[2] == f"jwt_secret: kept {folder}/jwt_secret"
    assert lines[4] == f"minio_user: kept {folder}/minio_user.txt"
    assert not (folder / "jwt_secret.txt").exists()
    assert not (folder / "nowhere").exists()


FOREIGN = {
    "file": ("notes.txt", Path.touch),
    "directory": ("conf.d", Path.mkdir),
    "directory with the name of a secret": ("jwt_secret.txt", Path.mkdir),
    "link": ("data", lambda path: path.symlink_to("nowhere")),
}


@pytest.mark.parametrize(("name", "make"), FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("through", ["path", "link", "cwd"])
def test_init_does_not_restrict_a_folder_with_other_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    name: str,
    make: Callable[[Path], None],
    through: str,
) -> None:
    """`--dir /etc` would lock out every other user. With mode 0700 other files are allowed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / name)
    (folder / "postgres_password.txt").write_text("mine")
    folder.chmod(0o755)
    (folder / "postgres_password.txt").chmod(0o640)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    where = {"path": folder, "link": tmp_path / "link", "cwd": Path()}[through]
    refused = (
        f"{folder if through == 'cwd' else where} has mode 0755 and also contains {name}. "
        "Use a folder for secrets alone, with mode 0700."
    )
    assert call("secrets", "init", "--dir", where) == (1, "", f"vitals: {refused}\n")
    assert {path.name for path in folder.iterdir()} == {name, "postgres_password.txt"}
    assert (mode(folder), mode(folder / "postgres_password.txt")) == (0o755, 0o640)
    checked = call("secrets", "check", "--dir", where)
    assert (checked.code, checked.out.splitlines()[-1]) == (1, f"folder: {refused}")
    assert "chmod 0700" not in checked.out.splitlines()[-1]
    folder.chmod(0o700)
    assert call("secrets", "init", "--dir", where).code == 0
    assert call("secrets", "check", "--dir", where).out.endswith(" has mode 0700.\n")


@pytest.mark.parametrize(
    "files", [(), ("README.md", ".gitignore"), (".gitkeep",), ("jwt_secret", "minio_user.txt")]
)
def test_init_restricts_a_folder_with_secrets_only(
    folder: Path, call: Call, files: tuple[str, ...]
) -> None:
    """Also an empty one and one in git. Only the modes of secrets change."""
    folder.mkdir()
    for name in files:
        (folder / name).write_text("x")
        (folder / name).chmod(0o640)
    folder.chmod(0o755)
    result = call("secrets", "init", "--dir", folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == f"folder: changed the mode of {folder} to 0700"
    assert mode(folder) == 0o700
    made = [name for name in files if name.endswith(".txt")]
    assert [mode(folder / name) for name in files] == [
        0o444 if name in made else 0o640 for name in files
    ]
    assert "folder" not in call("secrets", "init", "--dir", folder).out.replace(str(folder), "")


def test_concurrent_inits_create_each_file_once(folder: Path) -> None:
    """None removes or replaces a file of another."""
    processes = [start("secrets", "init", "--dir", folder) for _ in range(4)]
    results = [end(process) for process in processes]
    lines = [line for result in results for line in result.out.splitlines()]
    assert sum(": created " in line for line in lines) == len(SECRETS)
    assert len(lines) == 4 * len(SECRETS)
    assert contents(folder).keys() == {f"{name}.txt" for name in SECRETS}


def test_a_full_disk_leaves_no_incomplete_secret(folder: Path, call: Call) -> None:
    """A file is complete or does not exist."""
    with full_disk():
        result = call("secrets", "init", "--dir", folder)
    assert result == (1, "", f"vitals: {folder}: File too large.\n")
    assert list(folder.iterdir()) == []


def test_rotate_reports_a_full_disk(full: Path, call: Call) -> None:
    """It works again later."""
    command = ("secrets", "rotate", "jwt_secret", "--dir", full)
    with full_disk():
        assert call(*command) == (1, "", f"vitals: {full}: File too large.\n")
    assert call(*command).code == 0
    assert call("secrets", "check", "--dir", full).code == 0


def test_a_folder_that_can_not_be_created_is_one_line(tmp_path: Path, call: Call) -> None:
    """With the cause."""
    (tmp_path / "file").touch()
    for place, why in (("file", "File exists"), ("file/folder", "Not a directory")):
        result = call("secrets", "init", "--dir", tmp_path / place)
        assert result == (1, "", f"vitals: {tmp_path / place}: {why}.\n")


@pytest.mark.parametrize("command", [("check",), ("rotate", "jwt_secret")])
def test_a_missing_folder_is_reported(tmp_path: Path, call: Call, command: tuple[str, ...]) -> None:
    """With the command that creates it."""
    line = f"vitals: {tmp_path}/none is not a folder. Run vitals secrets init.\n"
    assert call("secrets", *command, "--dir", tmp_path / "none") == (1, "", line)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("before", ["short", "l" * 100, ""])
def test_rotate_keeps_the_inode_of_the_file(
    full: Path, call: Call, tmp_path: Path, name: str, before: str
) -> None:
    """A container may have it mounted. A hard link shows it."""
    file = full / f"{name}.txt"
    file.chmod(0o600)
    file.write_text(before)
    mounted = tmp_path / "mounted"
    mounted.hardlink_to(file)
    result = call("secrets", "rotate", name, "--dir", full)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{name}: {file} has a new secret. ")
    assert result.out.count("\n") == 1
    assert mounted.samefile(file)
    assert re.fullmatch("minio-[0-9a-f]{8}|[A-Za-z0-9_-]{43}", mounted.read_text())
    assert mode(file) == 0o444
    assert call("secrets", "check", "--dir", full).code == 0


def test_rotate_finds_a_file_without_txt(folder: Path, call: Call) -> None:
    """As the service does."""
    folder.mkdir(mode=0o700)
    (folder / "jwt_secret").write_text("mine")
    assert call("secrets", "rotate", "jwt_secret", "--dir", folder).code == 0
    assert contents(folder).keys() == {"jwt_secret"}
    assert len((folder / "jwt_secret").read_text()) == 43


def test_a_reader_never_gets_a_mixture_of_two_secrets(full: Path, call: Call) -> None:
    """It gets the old one, the new one or an empty file, also if their lengths differ."""
    file, over = full / "jwt_secret.txt", threading.Event()
    seen = set[bytes]()

    def read() -> None:
        while not over.is_set():
            descriptor = os.open(file, os.O_RDONLY)
            seen.add(os.read(descriptor, 4096))
            os.close(descriptor)

    reader = threading.Thread(target=read)
    reader.start()
    written = {file.read_bytes(), b""}
    for _ in range(200):
        assert call("secrets", "rotate", "jwt_secret", "--dir", full).code == 0
        written.add(file.read_bytes())
    over.set()
    reader.join()
    assert seen <= written
    assert len(seen) > 20


def test_no_command_prints_a_secret(full: Path, call: Call) -> None:
    """Neither the old nor the new one."""
    words = set(contents(full).values())
    commands = [("init",), ("check",), *(("rotate", name) for name in SECRETS)]
    results = [call("secrets", *command, "--dir", full) for command in commands]
    words |= set(contents(full).values())
    assert not [word for word in words for result in results if word in result.out + result.err]


def test_rotate_rejects_an_unknown_name(full: Path, call: Call) -> None:
    """With the list of the names."""
    before = contents(full)
    result = call("secrets", "rotate", "postgres", "--dir", full)
    assert (result.code, result.out) == (2, "")
    assert f"'postgres' is not a secret. Use one of {', '.join(SECRETS)}." in result.err
    assert contents(full) == before


def test_rotate_rejects_a_secret_with_two_files(full: Path, call: Call) -> None:
    """The service may use either."""
    (full / "jwt_secret").write_text("mine")
    before = contents(full)
    offer = f"{full}/jwt_secret and {full}/jwt_secret.txt both offer it"
    line = f"vitals: jwt_secret: {offer}. Keep one.\n"
    assert call("secrets", "rotate", "jwt_secret", "--dir", full) == (1, "", line)
    assert contents(full) == before


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("rm {0}", "is missing. Run vitals secrets init."),
        ("rm {0}; mkdir {0}", "is not a file. Replace it with a file."),
        ("rm {0}; mkfifo {0}", "is not a file. Replace it with a file."),
        ("rm {0}; ln -s no {0}", "is a broken link. Remove it, or create its target."),
    ],
)
def test_rotate_needs_an_existing_file(full: Path, call: Call, harm: str, problem: str) -> None:
    """The remedy is that of `vitals secrets check`."""
    file = full / "jwt_secret.txt"
    subprocess.run(["sh", "-c", harm.format(file)], check=True)  # noqa: S607  # any will do
    line = f"vitals: jwt_secret: {file} {problem}\n"
    assert call("secrets", "rotate", "jwt_secret", "--dir", full) == (1, "", line)
