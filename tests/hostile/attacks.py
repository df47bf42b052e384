"""Every attack by its name, and the kind of probe that meets it."""

from collections.abc import Mapping

from app.health import Reason
from tests.hostile import http_attacks, postgres_server, redis_attacks, redis_server, tls_attacks
from tests.hostile.client import Attack, Script, limited, script
from tests.hostile.message_attacks import MESSAGES
from tests.hostile.postgres_attacks import POSTGRES
from tests.hostile.scram_attacks import SCRAM, UPGRADES


def cut(honest: Script, length: int) -> dict[str, Attack]:
    """Have an honest server end each connection, after every number of bytes up to a length."""
    return {
        f"an end after {count} bytes": Attack(limited(count, honest), Reason.DISCONNECTED)
        for count in range(1, length)
    }


WELCOME = b"N" + postgres_server.AUTHENTICATED + postgres_server.WELCOME
# As long as the answer to a number of one digit; READY ends it.
ANSWER = postgres_server.DONE + postgres_server.READY
HEAD = http_attacks.head(b"Content-Length: 2")

Tables = Mapping[str, tuple[str, Mapping[str, Attack]]]

# What a test tries one by one.
SINGLE: Tables = {
    "postgres": ("postgres", {**POSTGRES, **UPGRADES}),
    "scram": ("postgres", SCRAM),
    "redis": ("redis", redis_attacks.REDIS),
    "http": ("http", http_attacks.HTTP),
    **{kind: (kind, table) for kind, table in tls_attacks.TLS.items()},
}

# What are so many that one test tries them all.
MANY: Tables = {
    "messages": ("postgres", MESSAGES),
    "cut postgres": ("postgres", cut(postgres_server.honest, len(WELCOME + ANSWER))),
    "cut redis": ("redis", cut(redis_server.honest, 2 * len(redis_server.OK) + 22)),
    "cut http": ("http", cut(script(http_attacks.asked, HEAD), len(HEAD))),
}

# Each with the kind of probe that meets it.
ATTACKS: Mapping[str, tuple[str, Attack]] = {
    f"{group}: {name}": (kind, attack)
    for group, (kind, table) in {**SINGLE, **MANY}.items()
    for name, attack in table.items()
}
