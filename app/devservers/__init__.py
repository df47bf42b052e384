"""Real servers for `vitals dev` and the tests; the binaries come with the development extra."""

from app.devservers.servers import EmbeddedServerError, Postgres, Valkey


__all__ = ["EmbeddedServerError", "Postgres", "Valkey"]
