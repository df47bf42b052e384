"""The PostgreSQL and the Redis that contenders check, and counters of their queries."""

import contextlib
from collections.abc import Iterator

import psutil
import redis

from tests.support.devservers import Postgres, Valkey


class Stores:
    """Both servers, and the settings that contenders need to reach them."""

    def __init__(self, postgres: Postgres, valkey: Valkey) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self._restart("max_connections=400")  # some contenders open one for each request

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables for the service and the contenders."""
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

    def log_statements(self) -> None:
        """Restart PostgreSQL so that it logs each statement."""
        self._restart("log_statement=all")

    @property
    def statements(self) -> int:
        """Number of statements that PostgreSQL has logged."""
        log = self.postgres.log.read_text(errors="replace")
        return log.count("LOG:  statement:") + log.count("LOG:  execute ")

    @property
    def commands(self) -> int:
        """Number of commands that Redis has run, except those of this client."""
        with redis.Redis.from_url(_with_password(self.valkey)) as client:
            stats = client.info("commandstats")
        own = ("cmdstat_info", "cmdstat_auth", "cmdstat_hello", "cmdstat_client|setinfo")
        return sum(int(entry["calls"]) for name, entry in stats.items() if name not in own)

    def _restart(self, setting: str) -> None:
        self.postgres.arguments = (*self.postgres.arguments, "-c", setting)
        self.postgres.start()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Suspend all processes of PostgreSQL until the block ends."""
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
def run_stores() -> Iterator[Stores]:
    """Run both servers until the block ends."""
    with Postgres() as postgres, Valkey() as valkey:
        yield Stores(postgres, valkey)


def _with_password(server: Postgres | Valkey) -> str:
    user = "vitals" if isinstance(server, Postgres) else ""
    scheme, _, rest = server.url.partition("://")
    rest = rest.removeprefix("vitals@")
    return f"{scheme}://{user}:{server.password_file.read_text()}@{rest}"
