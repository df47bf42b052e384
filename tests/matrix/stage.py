"""What the service watches: real servers, and between them and it what can be broken."""

import json
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from tests.faults.nameserver import name_server
from tests.faults.proxy import HOST, proxy_in_thread
from tests.faults.servers import sql
from tests.probes.http_server import OK, serving
from tests.service import on
from tests.system.certificates import Certificates
from tests.system.servers import PgBouncer, SystemPostgres, SystemRedis


CHECKS = ("postgres", "redis", "http")


class Stage:
    """A PostgreSQL, a Redis and an HTTP service, each behind a proxy, and a name server for them.

    Attributes:
        calm: an HTTP service that nothing befalls.
        bouncer: before the PostgreSQL, where a scene has one.
        proxies: one for each check.
        names: knows each check as `NAME.test`.

    """

    bouncer: PgBouncer

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.certificates = Certificates(folder)
        self.postgres = stack.enter_context(self._postgres())
        self.redis = stack.enter_context(SystemRedis())
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.show("good")
        portal = stack.enter_context(start_blocking_portal())
        self.http = stack.enter_context(portal.wrap_async_context_manager(serving(OK)))
        self.calm = stack.enter_context(portal.wrap_async_context_manager(serving(OK)))
        self.https = stack.enter_context(
            portal.wrap_async_context_manager(serving(OK, self.context))
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
        """The settings that have the service check all three, each through its proxy."""
        return {
            **on(self.postgres, self.redis),
            **self.reaching("postgres"),
            **self.reaching("redis"),
            **self.reaching("http"),
            "POSTGRES_REQUIRE": "writable",
            "REDIS_REQUIRE": "writable",
        }

    def show(self, kind: str) -> None:
        """Have the HTTPS service show a certificate of this kind from now on."""
        self.context.load_cert_chain(self.certificates.write(kind, self.folder))

    def reaching(
        self,
        check: str,
        port: int = 0,
        *,
        host: str = HOST,
        scheme: str = "http",
        query: str = "?sslmode=disable",
    ) -> dict[str, str]:
        """The setting by which a check reaches its dependency: at its proxy, if no port is told."""
        at = f"{host}:{port or self.proxies[check].port}"
        if check == "postgres":
            return {"DATABASE_URL": f"postgresql://probed@{at}/probed{query}"}
        if check == "redis":
            return {"REDIS_URL": f"redis://{at}/0"}
        return {"HTTP_CHECKS": json.dumps({check: {"url": f"{scheme}://{at}/"}})}

    def _postgres(self) -> SystemPostgres:
        server = SystemPostgres()
        certificate = self.certificates.write("good", server.folder)
        server.give(certificate)
        server.arguments = f"-cssl_cert_file={certificate}", f"-cssl_key_file={certificate}"
        return server


@contextmanager
def staged() -> Iterator[Stage]:
    """Have a stage until the block ends."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Stage(Path(folder), stack)
