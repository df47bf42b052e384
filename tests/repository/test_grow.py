"""The steps of docs/grow.md, in a copy of the application."""

import contextlib
import json
import os
import re
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.application import create_app
from app.settings import Settings
from tests.support.devservers import Postgres
from tests.support.faults.servers import sql
from tests.support.pages import PAGES, alike, shown
from tests.support.ports import free_port
from tests.support.private_ca import PrivateCA
from tests.support.service import ROOT, clean, on, running


pytestmark = pytest.mark.slow

CHECK = shown("docs/grow.md", "A new kind of check: one file and one line")
ROUTER = shown("docs/grow.md", "A router of your own, with a pool of its own")
FILES = re.findall(r"this file, `(app/[a-z/]+\.py)`", PAGES["docs/grow.md"])

# -P: import the copy, not the installed package or the current folder.
COPIED = (sys.executable, "-P")
VITALS = (*COPIED, "-m", "app")
SERVE = (*VITALS, "serve")

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

    def add_check(self) -> None:
        """Add the new kind of check as the page says."""
        probe, line, *_ = (block.text for block in CHECK)
        self.write("app/checks/smtp.py", probe)
        self.insert("app/checks/registry.py", line, before=")\n\nKINDS")

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command that imports the copy."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**clean(os.environ), "PYTHONPATH": str(self.folder), **environ},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


class Relay(socketserver.BaseRequestHandler):
    """A mail relay with one user, who sends mail from one address."""

    greeting = "220 mail.internal ready\r\n"
    password = "of the relay"  # noqa: S105 - of this relay only

    def handle(self) -> None:
        """Talk to a client until it is gone."""
        with contextlib.suppress(OSError):
            self.converse(self.request)

    def converse(self, connection: socket.socket) -> None:
        """Send the greeting, and reply to each command."""
        connection.sendall(self.greeting.encode())
        with connection.makefile() as lines:
            for line in lines:
                connection.sendall(f"{self.reply(line.strip())}\r\n".encode())

    def reply(self, command: str) -> str:
        """Return the reply to a command. EHLO gets two lines."""
        if command.startswith("AUTH PLAIN "):
            login = b64decode(command.removeprefix("AUTH PLAIN ")).decode()
            return "235 ok" if login == f"\0vitals\0{self.password}" else "535 wrong password"
        replies = {
            "EHLO vitals": "250-mail.internal\r\n250 AUTH PLAIN",
            "MAIL FROM:<orders@example.org>": "250 ok",
            "QUIT": "221 bye",
        }
        return replies.get(command, "550 not allowed")


class TlsRelay(Relay):
    """The same, over TLS."""

    certificate: Path

    def converse(self, connection: socket.socket) -> None:
        """Do the handshake before."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            super().converse(encrypted)


@contextlib.contextmanager
def serving(relay: type[Relay]) -> Iterator[int]:
    """Serve on a port while the block runs, and yield the port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), relay) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def mail(copy: Copy, url: str, **options: Any) -> dict[str, str]:
    """Return the settings of a check of a relay, and write its password."""
    (copy.folder / "mail_password.txt").write_text(Relay.password)
    checks = {"mail": {"url": url, "sender": "orders@example.org", **options}}
    settings = {"CHECKS": json.dumps(checks), "SECRETS_DIR": str(copy.folder)}
    return {**on(), **settings, "PYTHONPATH": str(copy.folder)}


def test_the_page_names_the_files_that_it_shows() -> None:
    """Two files with a line each, a configuration and an error, and a layer for the router."""
    assert FILES == ["app/checks/smtp.py", "app/clock.py"]
    assert [len(CHECK), len(ROUTER)] == [4, 3]


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


def test_a_new_kind_of_check_is_one_file_and_one_line(copy: Copy) -> None:
    """`git diff` shows nothing else, and the tables of the documentation find the kind."""
    page = str(ROOT / "docs/settings.md")
    script = (
        "from pathlib import Path\n"
        "from tests.repository.doc_tables import update\n"
        f"print(update(Path({page!r}).read_text()))"
    )
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org")
    for command in (("init", "-q"), ("add", "app"), ("commit", "-q", "-m", "Copy")):
        assert copy.run(*git, *command).returncode == 0
    copy.add_check()
    copy.run(*git, "add", "app")
    lines = CHECK[0].text.count("\n")
    changes = copy.run(*git, "diff", "--cached", "--numstat").stdout.splitlines()
    assert changes == ["1\t0\tapp/checks/registry.py", f"{lines}\t0\tapp/checks/smtp.py"]
    path = f"{copy.folder}{os.pathsep}{ROOT}"
    tables = copy.run(*COPIED, "-c", script, PYTHONPATH=path).stdout.splitlines()
    assert "| `smtp` | `smtp://`, `smtps://` | |" in tables
    assert "| `sender` | smtp | none | a mail address | |" in tables
    assert any(line.startswith("| `password` | postgresql, redis, smtp |") for line in tables)


def test_a_new_kind_of_check_follows_its_server(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes, fails with its reason, and recovers, wherever checks are shown."""
    copy.add_check()
    secret = copy.folder / "mail_password.txt"
    with serving(Relay) as port:
        environ = mail(copy, f"smtp://vitals@127.0.0.1:{port}")
        with running(environ, copy.folder / "log", SERVE) as service:
            service.until("mail", None, 5)
            assert service.ask("/health/ready").code == 200
            monkeypatch.setattr(Relay, "password", "another")
            service.until("mail", "auth", BOUND)
            assert service.ask("/health/ready").code == 503
            secret.write_text("another\n")
            service.until("mail", None, BOUND)
            for greeting, reason in (
                ("554 no service\r\n", "denied"),
                ("hello\r\n", "protocol"),
                ("220-more\r\n" * 200, "protocol"),
                ("2" * 100_000, "protocol"),
                ("", "timeout"),
            ):
                monkeypatch.setattr(Relay, "greeting", greeting)
                service.until("mail", reason, BOUND)
            metrics = service.ask("/metrics").body.decode()
            assert 'health_check_reason{check="mail",reason="timeout"} 1.0' in metrics
            browser = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
            assert b"mail" in service.ask("/health", **browser).body
            monkeypatch.undo()
            secret.write_text(Relay.password)
            service.until("mail", None, BOUND)
    log = (copy.folder / "log").read_text()
    assert "check status changed" in log
    assert Relay.password not in log


def test_the_new_kind_verifies_the_certificate_of_the_relay(copy: Copy) -> None:
    copy.add_check()
    authority = PrivateCA()
    TlsRelay.certificate = authority.issue(copy.folder / "relay.pem", "127.0.0.1")
    trusted = copy.folder / "ca.pem"
    trusted.write_bytes(authority.pem)
    with serving(TlsRelay) as port:
        environ = mail(copy, f"smtps://vitals@127.0.0.1:{port}") | {"SSL_CERT_FILE": str(trusted)}
        with running(environ, copy.folder / "log", SERVE) as service:
            service.until("mail", None, 5)
            trusted.write_bytes(PrivateCA().pem)
            service.until("mail", "tls", BOUND)


def test_the_doctor_examines_the_new_kind(copy: Copy) -> None:
    """The row has the probe's stages, and a wrong password fails at its own."""
    copy.add_check()
    with serving(Relay) as port:
        environ = mail(copy, f"smtp://vitals@127.0.0.1:{port}", timeout=5)
        found = json.loads(copy.run(*VITALS, "doctor", "--json", **environ).stdout)
        assert [*found["checks"]["mail"]["steps_ms"]] == ["tcp", "auth", "query"]
        assert found["secrets"]["mail_password"]["state"] == "found"
        assert found["status"] == "pass"
        (copy.folder / "mail_password.txt").write_text("wrong")
        found = json.loads(copy.run(*VITALS, "doctor", "--json", **environ).stdout)
        row = found["checks"]["mail"]
        assert (row["failed"], row["reason"]) == ("auth", "auth")
        url = f"smtp://vitals:{Relay.password.replace(' ', '%20')}@127.0.0.1:{port}"
        copy.write("mail_url", url)
        environ = mail(copy, "secret:mail_url", timeout=5)
        found = json.loads(copy.run(*VITALS, "doctor", "--json", **environ).stdout)
        assert found["status"] == "pass"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"url": "smtp://vitals@mail.internal/inbox"},
            "url: must have the form smtp://user@host:port or smtps://user@host:port. Correct it.",
        ),
        (
            {"url": "smtp://vitals:hunter2@mail.internal"},
            "url: a password is not allowed in the URL. Put it in the secret mail_password.",
        ),
        (
            {"sender": "a@b>\r\nDATA"},
            "sender: must be a mail address. Correct it or remove it.",
        ),
        ({"sender": "orders"}, "sender: must be a mail address. Correct it or remove it."),
    ],
)
def test_a_wrong_setting_of_the_new_kind_is_one_line(
    copy: Copy, options: Mapping[str, str], line: str
) -> None:
    copy.add_check()
    environ = mail(copy, **{"url": "smtp://vitals@mail.internal", **options})
    done = copy.run(*SERVE, **environ)
    assert (done.returncode, done.stderr) == (78, f"vitals: CHECKS: mail: {line}\n")


def test_the_new_kind_needs_its_secret(copy: Copy) -> None:
    copy.add_check()
    environ = mail(copy, "smtp://vitals@mail.internal")
    (copy.folder / "mail_password.txt").unlink()
    done = copy.run(*SERVE, **environ)
    assert done.returncode == 78
    assert re.fullmatch(r"vitals: mail_password: \S+ is missing\. .*\n", done.stderr)


def test_the_configuration_and_the_error_on_the_page_are_right(copy: Copy) -> None:
    """The first passes the validation, and `vitals serve` prints the second."""
    copy.add_check()
    copy.write("checks.toml", CHECK[2].text)
    environ = mail(copy, "") | {"CHECKS": "", "CHECKS_FILE": str(copy.folder / "checks.toml")}
    script = "from app.settings import load; print(load().check_specs[0].options.sender)"
    assert copy.run(*COPIED, "-c", script, **environ).stdout == "orders@example.org\n"
    ((command, output),) = CHECK[3].exchanges
    shell = command.replace("vitals serve", " ".join(SERVE))
    done = copy.run("/bin/sh", "-c", shell)
    assert done.returncode == 78
    assert alike(output, done.stderr)


def test_a_router_uses_the_settings_of_its_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not read the environment."""
    for name in ("DATABASE_URL", "REDIS_URL", "CHECKS", "HTTP_CHECKS"):
        monkeypatch.delenv(name, raising=False)
    names = dict[str, Any]()
    exec(ROUTER[0].text, names)  # noqa: S102 - code of our page
    url = f"redis://127.0.0.1:{free_port()}"
    application = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    names["add_clock"](application)
    with TestClient(application) as client:
        assert client.get("/health/live").status_code == 200


def test_a_router_has_the_variables_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a pool, with the same defaults, and the origins of CORS."""
    names = dict[str, Any]()
    exec(ROUTER[0].text, names)  # noqa: S102 - code of our page
    template = (ROOT / ".env.production.example").read_text()
    examples = dict(
        re.findall(r"^#((?:DATABASE_(?:POOL|MAX)|CORS)_\w+)=(.*)$", template, re.MULTILINE)
    )
    defaults = {name.upper(): value for name, value in names["ClockSettings"]()}
    assert defaults.keys() == examples.keys()
    assert not defaults.pop("CORS_ORIGINS")
    assert {name: float(examples[name]) for name in defaults} == defaults
    origin = "https://app.example.com"
    values = {"POOL_SIZE": "7", "MAX_OVERFLOW": "3", "POOL_TIMEOUT": "4", "POOL_RECYCLE": "99"}
    for name, value in values.items():
        monkeypatch.setenv(f"DATABASE_{name}", value)
    monkeypatch.setenv("CORS_ORIGINS", f"https://other.example.com,{origin}")
    url = f"redis://127.0.0.1:{free_port()}"
    application = create_app(lambda: Settings(redis_url=url, redis_auth="none"))
    names["add_clock"](application)
    with TestClient(application) as client:
        pool = vars(client.app_state["engine"].pool)
        assert [pool[f"_{name}"] for name in ("max_overflow", "timeout", "recycle")] == [3, 4, 99]
        assert client.app_state["engine"].pool.size() == 7
        for allowed in (True, False):
            headers = {"Origin": origin if allowed else "https://evil.example.com"}
            answer = client.get("/clock/none", headers=headers)
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


def test_a_router_has_its_own_pool(copy: Copy, own_postgres: Postgres) -> None:
    """Its route queries the database with the current password; readiness answers from memory."""
    router, line, _ = (block.text for block in ROUTER)
    copy.write("app/clock.py", router)
    copy.insert("app/application.py", line, before="    return application\n")
    names = "from app.clock import add_clock\n"
    copy.insert("app/application.py", names, before="from app.health import")
    secret = copy.folder / "postgres_password"
    secret.write_text("old")
    sql(own_postgres, "CREATE ROLE clock LOGIN PASSWORD 'old'")
    environ = {
        **on(),
        "DATABASE_URL": own_postgres.url.replace("vitals@", "clock@"),
        "SECRETS_DIR": str(copy.folder),
        "PYTHONPATH": str(copy.folder),
    }
    end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'clock'"
    with running(environ, copy.folder / "log", SERVE) as service:
        assert re.match(r"20\d\d-", service.ask("/clock").json)
        service.until("postgres", None, 5)
        assert service.ask("/health/ready").code == 200
        sql(own_postgres, "ALTER ROLE clock PASSWORD 'new'", end_sessions)
        assert service.ask("/clock").code == 500
        secret.write_text("new\n")
        assert re.match(r"20\d\d-", service.ask("/clock").json)
        service.until("postgres", None, 5)
