"""The system's own servers, run by the supervisor of the development servers."""

import shutil
import ssl
from functools import partial
from pathlib import Path

from redis.exceptions import RedisError

from tests.support import service
from tests.support.devservers import Postgres, Valkey
from tests.support.devservers.servers import DevServer


# Redis servers that restart do not answer for a moment, and failovers take long.
wait_for = partial(service.wait_for, within=30, ignored=(RedisError,))


def program(name: str) -> str | None:
    """Return the path of a program, which may be in a system directory outside of PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(versions, key=lambda folder: float(folder.parent.name), reverse=True)
    return shutil.which(name, path=":".join(map(str, (*newest, "/usr/bin", "/usr/sbin"))))


class SystemPostgres(Postgres):
    """The PostgreSQL that the system provides."""

    def program(self) -> Path:
        """Return the path of the server; `initdb` is in the same directory."""
        return Path(str(program("postgres")))

    def use_certificate(self, certificate: Path, access: str = "hostssl") -> None:
        """Restart with TLS, and accept one kind of connection, such as `hostssl`."""
        self.give(certificate)
        (self.data / "pg_hba.conf").write_text(f"{access} all all all scram-sha-256\n")
        files = f"-cssl_cert_file={certificate}", f"-cssl_key_file={certificate}"
        logging = "-clog_disconnections=on", "-clog_min_messages=debug1"
        self.arguments = ("-cssl=on", *files, *logging)
        self.start()


class SystemRedis(Valkey):
    """The Redis that the system provides."""

    tls = False

    @property
    def url(self) -> str:
        return super().url.replace("redis:", "rediss:" if self.tls else "redis:")

    def program(self) -> Path:
        """Return the path of the server."""
        return Path(str(program("redis-server")))

    def ready(self) -> bool:
        """Return whether it accepts the password, or with TLS, presents a certificate."""
        if not self.tls:
            return super().ready()
        try:
            return bool(ssl.get_server_certificate(("127.0.0.1", self.port), timeout=1))
        except ssl.SSLError:  # it requires a client certificate
            return True
        except OSError:
            return False

    def use_certificate(self, certificate: Path, clients: Path | None = None) -> None:
        """Restart with TLS only. Require a client certificate of the CAs in the file *clients*."""
        self.give(certificate)
        ports = "--port", "0", "--tls-port", str(self.port)
        files = "--tls-cert-file", str(certificate), "--tls-key-file", str(certificate)
        demand = ("--tls-ca-cert-file", str(clients)) if clients else ("--tls-auth-clients", "no")
        self.arguments = (*ports, *files, *demand)
        self.tls = True
        self.start()


class Pooler(DevServer):
    """A pooler in front of a server, which has its password.

    Attributes:
        settings: settings for the next start.
    """

    def __init__(self, backend: DevServer) -> None:
        super().__init__()
        self.settings: dict[str, str] = {}
        self.password_file.unlink()
        self.password_file = backend.password_file
        self._backend = backend

    @property
    def url(self) -> str:
        return self._backend.url.replace(str(self._backend.port), str(self.port))


class PgBouncer(Pooler):
    """A PgBouncer in transaction mode in front of a PostgreSQL."""

    stop_signal = "SIGKILL"  # it has no data, and other signals depend on its version

    def command(self) -> list[str]:
        """Write the configuration, and return a command that runs it in the foreground."""
        password = self.password_file.read_text()
        users = self.write("users", f'"vitals" "{password}"\n"probed" "{password}"\n')
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
        backend = f"host=127.0.0.1 port={self._backend.port}"
        lines = ["[databases]", f"postgres = {backend}", f"gone = {backend}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        return [str(program("pgbouncer")), str(self.write("settings", "\n".join(lines)))]
