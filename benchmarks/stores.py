"""The PostgreSQL and the Redis that are asked about, and what they are asked."""

import contextlib
from collections.abc import Iterator

import psutil
import redis

from app.devservers import Postgres, Valkey


class Stores:
    """Both servers, and how contenders find them."""

    def __init__(self, postgres: Postgres, valkey: Valkey) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self._restart("max_connections=400")  # some contenders open one for each request

    @property
    def environ(self) -> dict[str, str]:
        """The settings of the service and of the contenders."""
        dsns = {"POSTGRES_DSN": self.postgres, "REDIS_DSN": self.valkey}
        return {
            "DATABASE_URL": self.postgres.url,
            "POSTGRES_PASSWORD_FILE": str(self.postgres.password_file),
            "REDIS_URL": self.valkey.url,
            "REDIS_PASSWORD_FILE": str(self.valkey.password_file),
            "DRAIN_SECONDS": "0",
            "LOG_LEVEL": "warning",
            **{name: _with_password(server) for name, server in dsns.items()},
        }

    def count_statements(self) -> None:
        """Have PostgreSQL log each statement from now on."""
        self._restart("log_statement=all")

    @property
    def statements(self) -> int:
        """How many statements PostgreSQL has been asked since they are counted."""
        log = self.postgres.log.read_text(errors="replace")
        return log.count("LOG:  statement:") + log.count("LOG:  execute ")

    @property
    def commands(self) -> int:
        """How many commands Redis has been asked, but for this one's own."""
        with redis.Redis.from_url(_with_password(self.valkey)) as client:
            asked = client.info("commandstats")
        own = ("cmdstat_info", "cmdstat_auth", "cmdstat_hello", "cmdstat_client|setinfo")
        return sum(int(told["calls"]) for name, told in asked.items() if name not in own)

    def _restart(self, setting: str) -> None:
        self.postgres.arguments = (*self.postgres.arguments, "-c", setting)
        self.postgres.start()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Have PostgreSQL stand still, all of its processes."""
        main = psutil.Process(self.postgres.pid)
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()


@contextlib.contextmanager
def stores() -> Iterator[Stores]:
    """Run both."""
    with Postgres() as postgres, Valkey() as valkey:
        yield Stores(postgres, valkey)


def _with_password(server: Postgres | Valkey) -> str:
    user = "vitals" if isinstance(server, Postgres) else ""
    scheme, _, rest = server.url.partition("://")
    rest = rest.removeprefix("vitals@")
    return f"{scheme}://{user}:{server.password_file.read_text()}@{rest}"
