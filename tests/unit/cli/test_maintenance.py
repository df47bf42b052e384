import os
import re
import stat
import tempfile
import time
from pathlib import Path

import pytest

from app.settings.model import default_file
from tests.support.devservers import Valkey
from tests.support.ports import free_port
from tests.support.service import on, running, wait_for
from tests.unit.cli.conftest import Call, end, start


@pytest.fixture(name="file")
def _file(tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    del call  # it clears the environment first
    file = tmp_path / "maintenance"
    monkeypatch.setenv("MAINTENANCE_FILE", str(file))
    return file


@pytest.mark.slow
def test_maintenance_takes_an_instance_out_and_puts_it_back(valkey: Valkey, tmp_path: Path) -> None:
    """They share only the port and the temporary folder. Both changes are logged."""
    folder = str(tmp_path)
    with running({**on(valkey=valkey), "TMPDIR": folder}, tmp_path / "log") as service:
        service.until("redis", None, 5)
        port = str(service.port)
        for state, code, line in (
            ("on", 503, "ready: fail (maintenance)\n"),
            ("off", 200, "ready: pass\n"),
        ):
            result = end(start("maintenance", state, PORT=port, TMPDIR=folder))
            noticed = f"The instance at http://127.0.0.1:{port} has noticed."
            assert (result.code, result.out.splitlines()[1]) == (0, noticed)
            deadline = time.monotonic() + 2
            while service.ask("/health/ready").code != code and time.monotonic() < deadline:
                time.sleep(0.01)
            assert end(start("check", PORT=port)).out == line
    events = re.findall(r'"event": "(maintenance .*?)", "file"', service.log.read_text())
    assert events == ["maintenance started", "maintenance ended"]


@pytest.mark.slow
@pytest.mark.parametrize("state", ["on", "off"])
def test_an_instance_that_reads_another_file_is_named(
    valkey: Valkey, tmp_path: Path, state: str
) -> None:
    """With exit code 1, so that a script does not go on."""
    (tmp_path / "own").touch()
    own = {"on": tmp_path / "none", "off": tmp_path / "own"}[state]
    environ = {**on(valkey=valkey), "MAINTENANCE_FILE": str(own)}
    with running(environ, tmp_path / "log") as service:
        wait_for(lambda: service.ask("/health/started").code == 200)
        port = str(service.port)
        result = end(start("maintenance", state, "--file", tmp_path / "another", PORT=port))
    assert result.code == 1
    assert result.err == (
        f"vitals: The instance at http://127.0.0.1:{port} has not noticed: it reads another file."
        " Run this command where the instance runs, with its PORT and MAINTENANCE_FILE.\n"
    )


def test_the_file_is_in_tmp_if_no_folder_is_writable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container with a read-only file system. The service starts anyway."""

    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert default_file(8000) == Path("/tmp/vitals-8000.maintenance")  # noqa: S108 - named only


def test_on_and_off_print_the_result(file: Path, call: Call) -> None:
    """Repeating one is no error, and an instance may start later."""
    port = free_port()
    on, off = (("maintenance", state, "--port", str(port)) for state in ("on", "off"))
    rest = f"Not confirmed: no instance shows its phase at http://127.0.0.1:{port}.\n"
    assert call(*off) == (0, f"Maintenance is off already: {file} does not exist.\n{rest}", "")
    assert call(*on) == (0, f"Maintenance is on: {file} exists.\n{rest}", "")
    assert call(*on) == (0, f"Maintenance is on already: {file} exists.\n{rest}", "")
    assert call(*off) == (0, f"Maintenance is off: {file} does not exist.\n{rest}", "")
    assert not file.exists()


@pytest.mark.parametrize("umask", [0o000, 0o277])
def test_the_file_is_empty_and_readable_by_every_user(file: Path, call: Call, umask: int) -> None:
    """With any umask."""
    before = os.umask(umask)
    try:
        call("maintenance", "on")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert file.read_bytes() == b""


def test_the_file_name_has_the_port(tmp_path: Path) -> None:
    """Two instances on a machine do not share a file."""
    folder = str(tmp_path)
    result = end(start("maintenance", "on", PORT="8123", TMPDIR=folder))
    line = f"Maintenance is on: {tmp_path}/vitals-8123.maintenance exists."
    assert result.out.splitlines()[0] == line
    end(start("maintenance", "on", "--port", "8124", PORT="1", TMPDIR=folder))
    end(start("maintenance", "on", "--file", tmp_path / "own", MAINTENANCE_FILE="none/file"))
    names = {"vitals-8123.maintenance", "vitals-8124.maintenance", "own"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert default_file(8000).name == "vitals-8000.maintenance"


def test_a_symbolic_link_is_not_followed(file: Path, call: Call, tmp_path: Path) -> None:
    """Any user can create one in a temporary folder."""
    target = tmp_path / "target"
    file.symlink_to(target)
    line = f"vitals: Can't turn maintenance on: {file}: File exists.\n"
    assert call("maintenance", "on") == (1, "", line)
    assert not target.exists()
    target.touch()
    assert call("maintenance", "on") == (1, "", line)
    assert call("maintenance", "off").code == 0
    assert target.exists()
    assert not file.is_symlink()


@pytest.mark.parametrize(
    ("place", "state", "why"),
    [
        ("none/file", "on", "No such file or directory"),
        (".", "on", "File exists"),
        (".", "off", "Is a directory"),
        ("log/file", "on", "Not a directory"),
        ("log/file", "off", "Not a directory"),
    ],
)
def test_a_file_that_can_not_be_written_is_one_line(
    call: Call, tmp_path: Path, place: str, state: str, why: str
) -> None:
    """With exit code 1 and the cause."""
    (tmp_path / "log").touch()
    file = tmp_path / place
    line = f"vitals: Can't turn maintenance {state}: {file}: {why}.\n"
    assert call("maintenance", state, "--file", file) == (1, "", line)
