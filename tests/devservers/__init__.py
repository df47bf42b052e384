"""Real servers for `vitals dev` and the tests. The development extra installs their binaries."""

from tests.devservers.servers import EmbeddedServerError, Postgres, Valkey


__all__ = ["EmbeddedServerError", "Postgres", "Valkey"]
