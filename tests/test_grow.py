"""The steps of docs/grow.md, in a copy of the application."""

import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.application import create_app
from app.settings import Settings
from tests.devservers import Postgres, Valkey
from tests.pages import PAGES, shown
from tests.ports import free_port
from tests.service import ROOT, on, running


CHECK = shown("docs/grow.md", "A new kind of check: one file and one line")
ROUTER = shown("docs/grow.md", "A router of your own, with a pool of its own beside the probes'")
FILES = re.findall(
    r"this file, `(app/[a-z/]+\.py)`|this is `(app/[a-z/]+\.py)`", PAGES["docs/grow.md"]
)

# -P: import the copy, not the installed package or the current folder.
SERVE = (sys.executable, "-P", "-m", "app", "serve")

BOUND = 0.2 + 0.4 + 0.5


class Copy:
    """A copy of the application."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))

    def write(self, file: str, text: str) -> None:
        """Add a file."""
        (self.folder / file).write_text(text)

    def insert(self, file: str, line: str, *, before: str) -> None:
        """Add a line before another one."""
        text = (self.folder / file).read_text()
        assert text.count(before) == 1
        self.write(file, text.replace(before, line + before))


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


class Relay(socketserver.BaseRequestHandler):
    """A mail relay that sends its greeting."""

    greeting = b"220 mail.internal ready\r\n"

    def handle(self) -> None:
        """Send the greeting."""
        self.request.sendall(self.greeting)


@pytest.fixture(name="relay")
def _relay() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_the_page_names_the_files_that_it_shows() -> None:
    """Two files with a line each, and a layer for the second."""
    assert [one or other for one, other in FILES] == ["app/checks/smtp.py", "app/clock.py"]
    assert [len(CHECK), len(ROUTER)] == [2, 3]


def test_the_files_pass_the_linter_and_the_formatter(copy: Copy) -> None:
    """The rules are those of the repository."""
    copy.write("app/checks/smtp.py", CHECK[0].text)
    copy.write("app/clock.py", ROUTER[0].text)
    ruff = Path(sys.executable).with_name("ruff")
    for judge in (("check",), ("format", "--check")):
        config = ("--config", ROOT / "pyproject.toml")
        command = (ruff, *judge, *config, "app/checks/smtp.py", "app/clock.py")
        result = subprocess.run(
            command, cwd=copy.folder, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout


def test_the_new_modules_keep_the_import_contracts(copy: Copy) -> None:
    """The router needs its place in the layers, as the page says."""
    layer = ROUTER[2].text
    contracts = (ROOT / "pyproject.toml").read_text()
    before = layer.replace(" | clock", "")
    assert contracts.count(before) == 1
    copy.write("pyproject.toml", contracts)
    copy.write("app/checks/smtp.py", CHECK[0].text)
    copy.write("app/clock.py", ROUTER[0].text)
    linter = (Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo")
    environ = {**os.environ, "PYTHONPATH": str(copy.folder)}
    refused = subprocess.run(
        linter, cwd=copy.folder, env=environ, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1, refused.stderr
    assert "app.clock" in refused.stdout
    copy.write("pyproject.toml", contracts.replace(before, layer))
    assert subprocess.run(linter, cwd=copy.folder, env=environ, check=False).returncode == 0


def test_a_new_kind_of_check_is_one_file_and_one_line(
    copy: Copy, relay: int, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes, fails with its reason, and recovers."""
    probe, line = (block.text for block in CHECK)
    copy.write("app/checks/smtp.py", probe)
    copy.insert("app/checks/registry.py", line, before=")\n\nKINDS")
    checks = json.dumps({"smtp": {"url": f"smtp://127.0.0.1:{relay}"}})
    environ = {**on(None, valkey), "CHECKS": checks, "PYTHONPATH": str(copy.folder)}
    with running(environ, copy.folder / "log", SERVE) as service:
        service.until("smtp", None, 5)
        service.until("redis", None, 5)
        assert service.ask("/health/ready").code == 200
        monkeypatch.setattr(Relay, "greeting", b"554 no service here\r\n")
        service.until("smtp", "protocol", BOUND)
        assert service.ask("/health/ready").code == 503
        assert 'health_check_state{check="smtp",state="fail"} 1.0' in str(
            service.ask("/metrics").body
        )
        monkeypatch.undo()
        service.until("smtp", None, BOUND)


def test_a_router_uses_the_settings_of_its_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not read the environment."""
    for name in ("DATABASE_URL", "REDIS_URL", "CHECKS", "HTTP_CHECKS"):
        monkeypatch.delenv(name, raising=False)
    names = dict[str, Any]()
    exec(ROUTER[0].text, names)  # noqa: S102 - code of our page
    url = f"redis://127.0.0.1:{free_port()}"
    application = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    application.include_router(names["router"])
    with TestClient(application) as client:
        assert client.get("/health/live").status_code == 200


def test_a_router_has_its_own_pool(copy: Copy, postgres: Postgres) -> None:
    """Its route queries the database, while readiness answers from memory."""
    router, line, _ = (block.text for block in ROUTER)
    copy.write("app/clock.py", router)
    copy.insert("app/application.py", line, before="    return application\n")
    names = "from app.clock import router\n"
    copy.insert("app/application.py", names, before="from app.health import")
    environ = {**on(postgres), "PYTHONPATH": str(copy.folder)}
    with running(environ, copy.folder / "log", SERVE) as service:
        assert re.match(r"20\d\d-", service.ask("/clock").json)
        service.until("postgres", None, 5)
        assert service.ask("/health/ready").code == 200
