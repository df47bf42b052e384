"""Real servers for `vitals dev` and the tests; the binaries come with the development extra."""

from app.embedded.installation import EmbeddedServerError
from app.embedded.postgres import Postgres
from app.embedded.valkey import Valkey


__all__ = ["EmbeddedServerError", "Postgres", "Valkey"]
