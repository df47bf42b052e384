"""A Pgpool-II in front of a PostgreSQL."""

from tests.support.devservers import Postgres
from tests.system.servers import Pooler, program


class Pgpool(Pooler):
    """A Pgpool-II in front of one PostgreSQL."""

    stop_signal = "SIGQUIT"

    def __init__(self, backend: Postgres) -> None:
        super().__init__(backend)
        self._console_port = self.reserve_port()

    def command(self) -> list[str]:
        """Write the files, and return a command that runs it in the foreground."""
        password = self.password_file.read_text()
        settings = {
            "backend_clustering_mode": "raw",
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "socket_dir": str(self.folder),
            "pcp_port": str(self._console_port),
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
        self.write("users", f"vitals:TEXT{password}\nprobed:TEXT{password}\n")
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        files = {
            "-f": self.write("settings", lines),
            "-a": self.write("rules", "host all all 127.0.0.1/32 scram-sha-256\n"),
            "-F": self.write("console", ""),
        }
        paths = [part for flag, file in files.items() for part in (flag, str(file))]
        return [str(program("pgpool")), "-n", "-D", *paths]
