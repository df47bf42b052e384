"""The servers that the service checks, and the proxies and the name server in between."""

import json
import ssl
import tempfile
from collections import ChainMap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from tests.support.faults.nameserver import name_server
from tests.support.faults.proxy import HOST, proxy_in_thread
from tests.support.faults.servers import sql
from tests.support.service import on
from tests.system.certificates import Certificates
from tests.system.servers import PgBouncer, SystemPostgres, SystemRedis
from tests.unit.checks.http_server import OK, serving


CHECKS = ("postgres", "redis", "http")


class Environment:
    """A PostgreSQL, a Redis and an HTTP service, each behind a proxy, and a name server for them.

    Attributes:
        control_http: an HTTP service that is never broken.
        bouncer: in front of PostgreSQL, if a setup runs one.
        proxies: one for each check.
        names: the name server; resolves `CHECK.test` for each check.
    """

    bouncer: PgBouncer

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.certificates = Certificates(folder)
        postgres = SystemPostgres()
        certificate = self.certificates.write("good", postgres.folder)
        postgres.give(certificate)
        postgres.arguments = f"-cssl_cert_file={certificate}", f"-cssl_key_file={certificate}"
        self.postgres = stack.enter_context(postgres)
        self.redis = stack.enter_context(SystemRedis())
        self._ssl_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.use_certificate("good")
        portal = stack.enter_context(start_blocking_portal())
        self.http, self.control_http, self.https = (
            stack.enter_context(portal.wrap_async_context_manager(serving(OK, context)))
            for context in (None, None, self._ssl_context)
        )
        ports = self.postgres.port, self.redis.port, self.http.port
        self.proxies = {
            name: stack.enter_context(proxy_in_thread(HOST, port))
            for name, port in zip(CHECKS, ports, strict=True)
        }
        self.names = stack.enter_context(name_server({f"{name}.test": HOST for name in CHECKS}))
        password = self.postgres.password_file.read_text()
        role = f"CREATE ROLE probed LOGIN PASSWORD '{password}'"
        sql(self.postgres, role, "CREATE DATABASE probed")

    def environ(self) -> dict[str, str]:
        """Return the settings with which the service checks all three through their proxies."""
        urls = ChainMap(*map(self.check_url, CHECKS))
        depths = {"POSTGRES_DEPTH": "writable", "REDIS_DEPTH": "writable"}
        return {**on(self.postgres, self.redis), **urls, **depths}

    def use_certificate(self, kind: str) -> None:
        """Set the kind of certificate that the HTTPS service presents to new connections."""
        self._ssl_context.load_cert_chain(self.certificates.write(kind, self.folder))

    def check_url(
        self,
        check: str,
        port: int = 0,
        *,
        host: str = HOST,
        scheme: str = "http",
        query: str = "?sslmode=disable",
    ) -> dict[str, str]:
        """Return the setting with a check's URL; the port is its proxy's by default."""
        address = f"{host}:{port or self.proxies[check].port}"
        if check == "postgres":
            return {"DATABASE_URL": f"postgresql://probed@{address}/probed{query}"}
        if check == "redis":
            return {"REDIS_URL": f"redis://{address}/0"}
        return {"HTTP_CHECKS": json.dumps({check: {"url": f"{scheme}://{address}/"}})}


@contextmanager
def create_environment() -> Iterator[Environment]:
    """Run an environment until the block ends."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Environment(Path(folder), stack)
