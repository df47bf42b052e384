"""PostgreSQL messages of every type that a phase does not allow, and of impossible lengths."""

from collections.abc import Iterator, Mapping

from tests.service.hostile.client import Attack, Script, script
from tests.service.hostile.postgres_server import authenticated, message, queried, started


# Each phase, and the types that an honest server may send there.
PHASES: Mapping[str, tuple[Script, bytes]] = {
    "start": (started, b"RNEv"),
    "authenticated": (authenticated, b"SKZNEv"),
    "question": (queried, b"TDCSNAZE"),
}

LENGTHS = (-(2**31), -1, 0, 1, 3, 2**20, 2**30, 2**31 - 1)


def types() -> Iterator[tuple[str, Attack]]:
    """Yield a message of every type that a phase does not allow."""
    for name, (phase, allowed) in PHASES.items():
        for kind in range(256):
            if kind not in allowed:
                wrong = message(bytes([kind]), b"COPY\0\0\0\0")
                yield f"type {kind:#04x} in {name}", Attack(script(phase, wrong))


def lengths() -> Iterator[tuple[str, Attack]]:
    """Yield messages with an impossible length, of every type that a phase allows."""
    for name, (phase, allowed) in PHASES.items():
        for kind in allowed:
            for length in LENGTHS:
                wrong = message(bytes([kind]), b"", length) + bytes(64)
                yield f"{chr(kind)} of {length} bytes in {name}", Attack(script(phase, wrong))


MESSAGES: dict[str, Attack] = {**dict(types()), **dict(lengths())}
