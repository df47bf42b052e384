"""The system's own servers, on the leash of the embedded ones."""

import contextlib
import shutil
import socket
import ssl
from pathlib import Path

from app.devservers import Postgres, Valkey
from app.devservers.servers import Server


def program(name: str) -> str | None:
    """Find a program where the system keeps its servers, which need not be on the path."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(versions, key=lambda folder: float(folder.parent.name), reverse=True)
    return shutil.which(name, path=":".join(map(str, (*newest, "/usr/bin", "/usr/sbin"))))


class SystemPostgres(Postgres):
    """The system's PostgreSQL."""

    def program(self) -> Path:
        """Find its program; `initdb` lies beside it."""
        return Path(str(program("postgres")))

    def show(self, certificate: Path, access: str = "hostssl") -> None:
        """Speak TLS with a certificate from now on, and let in whom a kind of line allows."""
        self.give(certificate)
        (self.data / "pg_hba.conf").write_text(f"{access} all all all scram-sha-256\n")
        files = f"-cssl_cert_file={certificate}", f"-cssl_key_file={certificate}"
        logging = "-clog_disconnections=on", "-clog_min_messages=debug1"
        self.arguments = ("-cssl=on", *files, *logging)
        self.start()


class SystemRedis(Valkey):
    """The system's Redis."""

    tls = False

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return super().url.replace("redis:", "rediss:" if self.tls else "redis:")

    def program(self) -> Path:
        """Find its program."""
        return Path(str(program("redis-server")))

    def ready(self) -> bool:
        """Whether it takes the password; over TLS, whether it shows a certificate."""
        if not self.tls:
            return super().ready()
        with contextlib.suppress(OSError):
            return bool(ssl.get_server_certificate(("127.0.0.1", self.port), timeout=1))
        return False

    def show(self, certificate: Path) -> None:
        """Speak TLS with a certificate from now on, and nothing else."""
        self.give(certificate)
        ports = "--port", "0", "--tls-port", str(self.port)
        files = "--tls-cert-file", str(certificate), "--tls-key-file", str(certificate)
        self.arguments = (*ports, *files, "--tls-auth-clients", "no")
        self.tls = True
        self.start()


class PgBouncer(Server):
    """A PgBouncer in transaction mode before a PostgreSQL.

    Attributes:
        settings: in force from the next start on.

    """

    ending = "SIGKILL"  # it keeps nothing, and what the others do depends on its version

    def __init__(self, behind: Postgres) -> None:
        super().__init__()
        self.settings: dict[str, str] = {}
        self.password_file.unlink()
        self.password_file = behind.password_file
        self._behind = behind

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return self._behind.url.replace(str(self._behind.port), str(self.port))

    @property
    def title(self) -> str:
        """How its title does not begin: it makes no processes."""
        return f"{self.folder.name} "

    def command(self) -> tuple[list[str], str]:
        """Configure it anew, and run it in the foreground."""
        users, databases = self.folder / "users", self.folder / "settings"
        password = self.password_file.read_text()
        users.write_text("".join(f'"{name}" "{password}"\n' for name in ("vitals", "probed")))
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(users),
            "admin_users": "vitals",
            "pool_mode": "transaction",
            **self.settings,
        }
        behind = f"host=127.0.0.1 port={self._behind.port}"
        lines = ["[databases]", f"postgres = {behind}", f"gone = {behind}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        databases.write_text("\n".join(lines))
        for file in (users, databases):
            self.give(file)
        return [str(program("pgbouncer")), str(databases)], ""

    def ready(self) -> bool:
        """Whether it listens."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False
