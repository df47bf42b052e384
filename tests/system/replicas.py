"""Streaming replicas of a PostgreSQL."""

from pathlib import Path

from tests.system.servers import SystemPostgres


class Replica(SystemPostgres):
    """A hot standby with a copy of the primary's data, taken at its first start.

    Args:
        port: where it reaches the primary, if a proxy is between them.
    """

    def __init__(self, primary: SystemPostgres, port: int = 0) -> None:
        super().__init__()
        self.arguments = ("-cwal_retrieve_retry_interval=50ms",)
        self.password_file.unlink()
        self.password_file = primary.password_file
        self._port = port or primary.port

    def _init_data(self, postgres: Path) -> None:
        password = self.password_file.read_text()
        target = f"host=127.0.0.1 port={self._port} user=vitals password={password}"
        options = ["--dbname", target, "--pgdata", str(self.data), "--write-recovery-conf"]
        options += ["--checkpoint=fast", "--no-sync"]
        self.initialize([str(postgres.with_name("pg_basebackup")), *options])
