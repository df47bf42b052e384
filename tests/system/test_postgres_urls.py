import json
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from app.check_factory import open_checks
from app.settings import Settings
from tests.support.faults.servers import sql
from tests.support.ports import free_port
from tests.support.specs import postgres
from tests.system.servers import SystemPostgres, program


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[SystemPostgres]:
    """Run a server that listens on a Unix socket too."""
    server = SystemPostgres()
    server.arguments = (f"-cunix_socket_directories={server.folder}",)
    with server:
        yield server


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://vitals@127.0.0.1:{port}/postgres?application_name=vitals",
        "postgresql://vitals@{encoded}:{port}/postgres",
        "postgresql://vitals@{encoded}/postgres?port={port}&sslmode=verify-full",
        "postgresql://vitals@/postgres?host={folder}&port={port}",
        "postgres:///?user=vitals&host={encoded}&port={port}&dbname=postgres",
        "postgresql://nowhere:1/nothing?host=127.0.0.1&port={port}&user=vitals&dbname=postgres",
        "postgresql://%76itals@127.0.0.1:{port}/p%6Fstgres?sslmode=disable",
    ],
)
async def test_psql_and_vitals_connect_by_the_same_url(server: SystemPostgres, url: str) -> None:
    folder = str(server.folder)
    url = url.format(port=server.port, folder=folder, encoded=folder.replace("/", "%2F"))
    password = server.password_file.read_text()
    command = [str(program("psql")), "--no-password", "-Atc", "SELECT current_user", url]
    shown = subprocess.run(  # noqa: ASYNC221 - it takes a moment
        command, env={"PGPASSWORD": password}, capture_output=True, check=True, text=True
    )
    assert shown.stdout == "vitals\n"
    async with postgres(url, lambda: password, require="query", renew_after=86400) as probe:
        await probe()


# What parsers of URLs take for the end of something.
PASSWORD = "p@ss,/:%[x]?#&= é"  # noqa: S105 - of the test


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:{password}@127.0.0.1:{closed},127.0.0.1:{port}/postgres",
        "postgresql://app:{password}@[::1]:{closed},127.0.0.1:{port}/postgres?target_session_attrs=any",
        "postgresql://app:{password}@/postgres?host=127.0.0.1,127.0.0.1&port={closed},{port}",
    ],
)
async def test_psql_and_vitals_read_the_same_password_in_a_url_with_several_hosts(
    server: SystemPostgres, tmp_path: Path, url: str
) -> None:
    """It is percent-encoded. The whole URL is a secret."""
    sql(server, "DROP ROLE IF EXISTS app", f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
    encoded = quote(PASSWORD, safe="")
    url = url.format(password=encoded, port=server.port, closed=free_port())
    command = [str(program("psql")), "--no-password", "-Atc", "SELECT current_user", url]
    shown = subprocess.run(  # noqa: ASYNC221 - it takes a moment
        command, env={}, capture_output=True, check=True, text=True
    )
    assert shown.stdout == "app\n"
    (tmp_path / "whole_url").write_text(f"{url}\n")
    checks = json.dumps({"it": {"url": "secret:whole_url"}})
    settings = Settings(checks=checks, secrets_dir=tmp_path)
    assert not settings.parsed_checks.problems
    async with AsyncExitStack() as stack:
        [check] = await open_checks(settings, settings.read_secret, stack)
        await check.probe()
