"""All attacks by name, each with the kind of probe that it targets."""

from collections.abc import Mapping

from app.health import Reason
from tests.service.hostile import http_attacks, postgres_server, redis_server
from tests.service.hostile.client import Attack, Script, limited
from tests.service.hostile.http_attacks import HTTP
from tests.service.hostile.message_attacks import MESSAGES
from tests.service.hostile.postgres_attacks import POSTGRES
from tests.service.hostile.redis_attacks import REDIS
from tests.service.hostile.redis_server import NO_CLUSTER, OK
from tests.service.hostile.scram_attacks import SCRAM, UPGRADES
from tests.service.hostile.tls_attacks import TLS


def cut(honest: Script, length: int) -> dict[str, Attack]:
    """Return attacks that close an honest server's connection after 1 to *length* - 1 bytes."""
    return {
        f"an end after {count} bytes": Attack(limited(count, honest), Reason.DISCONNECTED)
        for count in range(1, length)
    }


WELCOME = b"N" + postgres_server.AUTHENTICATED + postgres_server.WELCOME
# The result has this length if the number has one digit. READY is its last message.
ANSWER = postgres_server.DONE + postgres_server.READY
HEAD = http_attacks.head(b"Content-Length: 2")

Tables = Mapping[str, tuple[str, Mapping[str, Attack]]]

# Each attack is a test of its own.
SINGLE: Tables = {
    "postgres": ("postgres", {**POSTGRES, **UPGRADES}),
    "scram": ("postgres", SCRAM),
    "redis": ("redis", REDIS),
    "http": ("http", HTTP),
    **{kind: (kind, table) for kind, table in TLS.items()},
}

# Too many for a test each: one test runs a whole table.
MANY: Tables = {
    "messages": ("postgres", MESSAGES),
    "cut postgres": ("postgres", cut(postgres_server.honest, len(WELCOME + ANSWER))),
    "cut redis": ("redis", cut(redis_server.honest, len(2 * OK + NO_CLUSTER) + 22)),
    "cut http": ("http", cut(http_attacks.honest, len(HEAD))),
}

# Each attack with the kind of probe that it targets.
ATTACKS: Mapping[str, tuple[str, Attack]] = {
    f"{group}: {name}": (kind, attack)
    for group, (kind, table) in {**SINGLE, **MANY}.items()
    for name, attack in table.items()
}
