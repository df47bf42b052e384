"""A Pgpool-II in front of a PostgreSQL."""

import contextlib
import socket

from tests.support.devservers import Postgres
from tests.support.devservers.servers import DevServer, reserve
from tests.system.servers import program


class Pgpool(DevServer):
    """A Pgpool-II in front of one PostgreSQL.

    Attributes:
        settings: settings for the next start.
    """

    stop_signal = "SIGQUIT"

    def __init__(self, backend: Postgres) -> None:
        super().__init__()
        self.settings: dict[str, str] = {}
        self.password_file.unlink()
        self.password_file = backend.password_file
        self._backend = backend
        self._reservation_of_console = reserve()

    def close(self) -> None:
        """Stop the pooler, and release its ports."""
        super().close()
        self._reservation_of_console.close()

    @property
    def url(self) -> str:
        """URL without the password."""
        return self._backend.url.replace(str(self._backend.port), str(self.port))

    @property
    def title_prefix(self) -> str:
        """A prefix that no process title has: its processes end together."""
        return f"{self.folder.name} "

    def command(self) -> tuple[list[str], str]:
        """Write the files, and return a command that runs it in the foreground."""
        password = self.password_file.read_text()
        settings = {
            "backend_clustering_mode": "raw",
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "socket_dir": str(self.folder),
            "pcp_port": str(self._reservation_of_console.getsockname()[1]),
            "pcp_socket_dir": str(self.folder),
            "pid_file_name": str(self.folder / "pid"),
            "logdir": str(self.folder),
            "backend_hostname0": "127.0.0.1",
            "backend_port0": str(self._backend.port),
            "backend_flag0": "DISALLOW_TO_FAILOVER",  # it is tried again after it was down
            "num_init_children": "4",
            "enable_pool_hba": "on",
            "pool_passwd": str(self.folder / "users"),
            **self.settings,
        }
        files = {
            "settings": "".join(f"{name} = '{value}'\n" for name, value in settings.items()),
            "rules": "host all all 127.0.0.1/32 scram-sha-256\n",
            "users": f"vitals:TEXT{password}\nprobed:TEXT{password}\n",
            "console": "",
        }
        for name, text in files.items():
            file = self.folder / name
            file.write_text(text)
            file.chmod(0o600)
            self.give(file)
        options = {"-f": "settings", "-a": "rules", "-F": "console"}
        paths = [part for flag, name in options.items() for part in (flag, str(self.folder / name))]
        return [str(program("pgpool")), "-n", "-D", *paths], ""

    def ready(self) -> bool:
        """Return whether it listens."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False
