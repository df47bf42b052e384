"""Checks from one file, on real servers."""

import json
from pathlib import Path

from tests.devservers import Postgres, Valkey
from tests.ports import free_port
from tests.service import on, running


def test_checks_of_one_file_fail_alone(postgres: Postgres, valkey: Valkey, tmp_path: Path) -> None:
    """Two checks of one PostgreSQL with secrets of their own, a Redis, and two TCP ports."""
    closed = free_port()
    file = tmp_path / "checks.toml"
    file.write_text(f"""
        [defaults]
        interval = 0.1

        [checks.orders]
        url = "{postgres.url}"
        password = "postgres_password"
        depth = "writable"

        [checks.reporting-1]
        url = "{postgres.url}"
        required = false

        [checks.sessions]
        url = "{valkey.url}"
        password = "redis_password"

        [checks.port]
        url = "tcp://127.0.0.1:{valkey.port}"

        [checks.closed]
        url = "tcp://127.0.0.1:{closed}"
        required = false
    """)
    (tmp_path / "wrong").write_text("wrong")
    environ = {
        **{name: value for name, value in on(postgres, valkey).items() if "_URL" not in name},
        "CHECKS_FILE": str(file),
        "REPORTING_1_PASSWORD_FILE": str(tmp_path / "wrong"),
    }
    with running(environ, tmp_path / "log") as service:
        service.until("closed", "refused", 10)
        service.until("reporting-1", "auth", 10)
        for name in ("orders", "sessions", "port"):
            service.until(name, None, 10)
        report = service.ask("/health").json
        assert (report["status"], len(report["checks"])) == ("warn", 5)
    events = map(json.loads, (tmp_path / "log").read_text().splitlines())
    started = next(event for event in events if event["event"] == "service started")
    assert [(one["name"], one["kind"], one["interval_s"]) for one in started["checks"]] == [
        ("orders", "postgresql", 0.1),
        ("reporting-1", "postgresql", 0.1),
        ("sessions", "redis", 0.1),
        ("port", "tcp", 0.1),
        ("closed", "tcp", 0.1),
    ]
