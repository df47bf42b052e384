import subprocess
from collections.abc import Iterator

import pytest

from tests.specs import postgres
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
