"""PostgreSQL messages of every type that a phase does not allow, and of impossible lengths."""

from collections.abc import Mapping

from tests.service.hostile.client import Attack, Script, attack
from tests.service.hostile.postgres_server import authenticated, message, queried, started


# Each phase, and the types that an honest server may send there.
PHASES: Mapping[str, tuple[Script, bytes]] = {
    "start": (started, b"RNEv"),
    "authenticated": (authenticated, b"SKZNEv"),
    "question": (queried, b"TDCSNAZE"),
}

MESSAGES: dict[str, Attack] = {
    f"type {kind:#04x} in {name}": attack(phase, message(bytes([kind]), b"COPY\0\0\0\0"))
    for name, (phase, allowed) in PHASES.items()
    for kind in range(256)
    if kind not in allowed
} | {
    f"{chr(kind)} of {length} bytes in {name}": attack(
        phase, message(bytes([kind]), b"", length) + bytes(64)
    )
    for name, (phase, allowed) in PHASES.items()
    for kind in allowed
    for length in (-(2**31), -1, 0, 1, 3, 2**20, 2**30, 2**31 - 1)
}
