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
from tests.cli.conftest import Call, end, start


@pytest.fixture(name="umask", params=[0o000, 0o022, 0o077], ids="{:03o}".format)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond ten bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def mode(path: Path) -> int:
    """Tell the permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[str, str]:
    """Read every file."""
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.usefixtures("umask")
def test_init_makes_what_is_missing(folder: Path, call: Call) -> None:
    """With the modes that containers and other users want, whatever the umask."""
    result = call("secrets", "init", "--dir", folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [f"{name}: made {folder}/{name}.txt" for name in SECRETS]
    assert contents(folder).keys() == {f"{name}.txt" for name in SECRETS}
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o444}


def test_the_folder_is_the_one_here(tmp_path: Path) -> None:
    """`./secrets`, unless another is named."""
    for command in (("init",), ("check",), ("rotate", "jwt_secret")):
        assert end(start("secrets", *command, cwd=tmp_path)).code == 0
    assert len(contents(tmp_path / "secrets")) == len(SECRETS)


def test_what_is_made_up_needs_no_quotes(full: Path) -> None:
    """Not in a URL and not in a shell; each is another, and as good as 256 bits."""
    made = contents(full)
    user = made.pop("minio_user.txt")
    assert re.fullmatch("minio-[0-9a-f]{8}", user)
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", word) for word in made.values())
    assert len(set(made.values())) == len(made)


def test_init_keeps_what_is_there(full: Path, call: Call) -> None:
    """The content, but not a mode that keeps a container out."""
    before = contents(full)
    (full / "jwt_secret.txt").chmod(0o600)
    full.chmod(0o755)
    lines = call("secrets", "init", "--dir", full).out.splitlines()
    assert lines[0] == f"postgres_password: kept {full}/postgres_password.txt"
    assert lines[2] == f"jwt_secret: kept {full}/jwt_secret.txt, now with mode 0444"
    assert contents(full) == before
    assert mode(full) == 0o700
    assert {mode(path) for path in full.iterdir()} == {0o444}


def test_init_makes_no_second_file_of_a_secret(folder: Path, call: Call) -> None:
    """The service would refuse to start; also a link that leads nowhere is someone's."""
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
def test_a_folder_that_holds_more_than_secrets_stays_as_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    name: str,
    make: Callable[[Path], None],
    through: str,
) -> None:
    """`--dir /etc` would lock out every other user. With mode 0700 it may hold anything."""
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
        f"{folder if through == 'cwd' else where} has mode 0755 and holds {name} too: "
        "use a folder for secrets alone, with mode 0700"
    )
    assert call("secrets", "init", "--dir", where) == (1, "", f"vitals: {refused}\n")
    assert {path.name for path in folder.iterdir()} == {name, "postgres_password.txt"}
    assert (mode(folder), mode(folder / "postgres_password.txt")) == (0o755, 0o640)
    checked = call("secrets", "check", "--dir", where)
    assert (checked.code, checked.out.splitlines()[-1]) == (1, f"folder: {refused}")
    assert "chmod 0700" not in checked.out.splitlines()[-1]
    folder.chmod(0o700)
    assert call("secrets", "init", "--dir", where).code == 0
    assert call("secrets", "check", "--dir", where).out.endswith("folder: ok\n")


@pytest.mark.parametrize(
    "files", [(), ("README.md", ".gitignore"), (".gitkeep",), ("jwt_secret", "minio_user.txt")]
)
def test_a_folder_of_secrets_alone_is_closed(
    folder: Path, call: Call, files: tuple[str, ...]
) -> None:
    """An empty one too, and one that git has; nothing but secrets gets another mode."""
    folder.mkdir()
    for name in files:
        (folder / name).write_text("x")
        (folder / name).chmod(0o640)
    folder.chmod(0o755)
    result = call("secrets", "init", "--dir", folder)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == f"folder: {folder} now has mode 0700"
    assert mode(folder) == 0o700
    made = [name for name in files if name.endswith(".txt")]
    assert [mode(folder / name) for name in files] == [
        0o444 if name in made else 0o640 for name in files
    ]
    assert "folder" not in call("secrets", "init", "--dir", folder).out.replace(str(folder), "")


def test_inits_at_the_same_time_make_each_file_once(folder: Path) -> None:
    """None takes away what another has made."""
    processes = [start("secrets", "init", "--dir", folder) for _ in range(4)]
    results = [end(process) for process in processes]
    lines = [line for result in results for line in result.out.splitlines()]
    assert sum(": made " in line for line in lines) == len(SECRETS)
    assert len(lines) == 4 * len(SECRETS)
    assert contents(folder).keys() == {f"{name}.txt" for name in SECRETS}


def test_a_full_disk_leaves_no_part_of_a_secret(folder: Path, call: Call) -> None:
    """There is all of a file, or nothing of its name."""
    with full_disk():
        result = call("secrets", "init", "--dir", folder)
    assert result == (1, "", f"vitals: {folder}: File too large\n")
    assert list(folder.iterdir()) == []


def test_rotate_tells_that_the_disk_is_full(full: Path, call: Call) -> None:
    """Part of a secret is none; it can be rotated again."""
    command = ("secrets", "rotate", "jwt_secret", "--dir", full)
    with full_disk():
        assert call(*command) == (1, "", f"vitals: {full}: File too large\n")
    assert call(*command).code == 0
    assert call("secrets", "check", "--dir", full).code == 0


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path, call: Call) -> None:
    """In one line."""
    (tmp_path / "file").touch()
    for place, why in (("file", "File exists"), ("file/folder", "Not a directory")):
        result = call("secrets", "init", "--dir", tmp_path / place)
        assert result == (1, "", f"vitals: {tmp_path / place}: {why}\n")


@pytest.mark.parametrize("command", [("check",), ("rotate", "jwt_secret")])
def test_a_folder_that_is_not_there_is_told(
    tmp_path: Path, call: Call, command: tuple[str, ...]
) -> None:
    """With the command that makes it."""
    line = f"vitals: {tmp_path}/none is not a folder: make it with vitals secrets init\n"
    assert call("secrets", *command, "--dir", tmp_path / "none") == (1, "", line)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("before", ["short", "l" * 100, ""])
def test_rotate_replaces_a_secret_in_place(
    full: Path, call: Call, tmp_path: Path, name: str, before: str
) -> None:
    """A container has the file itself mounted, as another name for it would show."""
    file = full / f"{name}.txt"
    file.chmod(0o600)
    file.write_text(before)
    mounted = tmp_path / "mounted"
    mounted.hardlink_to(file)
    result = call("secrets", "rotate", name, "--dir", full)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{name}: {file} holds a new one; next, ")
    assert result.out.count("\n") == 1
    assert mounted.samefile(file)
    assert re.fullmatch("minio-[0-9a-f]{8}|[A-Za-z0-9_-]{43}", mounted.read_text())
    assert mode(file) == 0o444
    assert call("secrets", "check", "--dir", full).code == 0


def test_rotate_takes_the_name_without_an_ending(folder: Path, call: Call) -> None:
    """It is the file that the service would read."""
    folder.mkdir(mode=0o700)
    (folder / "jwt_secret").write_text("mine")
    assert call("secrets", "rotate", "jwt_secret", "--dir", folder).code == 0
    assert contents(folder).keys() == {"jwt_secret"}
    assert len((folder / "jwt_secret").read_text()) == 43


def test_a_reader_sees_the_old_secret_or_the_new_one_or_none(full: Path, call: Call) -> None:
    """Never some of both, while one of another length takes its place."""
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


def test_no_command_tells_a_secret(full: Path, call: Call) -> None:
    """Neither the old one nor the new one."""
    words = set(contents(full).values())
    commands = [("init",), ("check",), *(("rotate", name) for name in SECRETS)]
    told = [call("secrets", *command, "--dir", full) for command in commands]
    words |= set(contents(full).values())
    assert not [word for word in words for result in told if word in result.out + result.err]


def test_rotate_refuses_an_unknown_name(full: Path, call: Call) -> None:
    """With those that there are."""
    before = contents(full)
    result = call("secrets", "rotate", "postgres", "--dir", full)
    assert (result.code, result.out) == (2, "")
    assert f"'postgres' is not a secret: name one of {', '.join(SECRETS)}" in result.err
    assert contents(full) == before


def test_rotate_refuses_to_choose_between_two_files(full: Path, call: Call) -> None:
    """Which of them is in force is not known."""
    (full / "jwt_secret").write_text("mine")
    before = contents(full)
    offer = f"{full}/jwt_secret and {full}/jwt_secret.txt both offer it"
    line = f"vitals: jwt_secret: {offer}: keep one\n"
    assert call("secrets", "rotate", "jwt_secret", "--dir", full) == (1, "", line)
    assert contents(full) == before


@pytest.mark.parametrize("harm", ["rm {0}", "rm {0}; mkdir {0}", "rm {0}; ln -s nowhere {0}"])
def test_rotate_makes_no_file(full: Path, call: Call, harm: str) -> None:
    """There must be one to replace."""
    file = full / "jwt_secret.txt"
    subprocess.run(["sh", "-c", harm.format(file)], check=True)  # noqa: S607  # any will do
    line = f"vitals: jwt_secret: {full} has no file of it: make it with vitals secrets init\n"
    assert call("secrets", "rotate", "jwt_secret", "--dir", full) == (1, "", line)
