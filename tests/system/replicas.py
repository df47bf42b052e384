"""Streaming replicas of a PostgreSQL."""

from pathlib import Path

from tests.system.servers import SystemPostgres


class Replica(SystemPostgres):
    """A hot standby with a copy of the primary's data, taken at its first start."""

    def __init__(self, primary: SystemPostgres) -> None:
        super().__init__()
        self.password_file.unlink()
        self.password_file = primary.password_file
        self._primary = primary

    def _init_data(self, postgres: Path) -> None:
        password = self.password_file.read_text()
        target = f"host=127.0.0.1 port={self._primary.port} user=vitals password={password}"
        options = ["--dbname", target, "--pgdata", str(self.data), "--write-recovery-conf"]
        options += ["--checkpoint=fast", "--no-sync"]
        self.initialize([str(postgres.with_name("pg_basebackup")), *options])
