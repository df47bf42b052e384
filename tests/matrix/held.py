"""What a service holds, and the servers for it."""

import time
from collections.abc import Mapping

import psutil

from tests.faults.servers import sessions
from tests.matrix.stage import Stage
from tests.service import Service


# Seconds in which what is left behind ends by itself: a look-up whose name server was silent.
LEFT = 15

# Megabytes that an allocator may keep for itself.
MEMORY = 4

# Sessions that a probe has, whatever there was before: a server that was started anew has forgotten
# those that were left behind.
SESSIONS = {"sessions of PostgreSQL": 1, "sessions of Redis": 1}

# Looks that what is held at first is the most of: in one of fifty, or of five on a busy machine, a
# session is just being renewed, and there is a socket less.
LOOKS = 7

Held = Mapping[str, int]


def most_held(service: Service, stage: Stage) -> Held:
    """Count several times, and tell the most of each."""
    looks = [held(service, stage) for _ in range(LOOKS)]
    return {name: max(look[name] for look in looks) for name in looks[0]}


def held(service: Service, stage: Stage) -> Held:
    """Count, but for the memory, which is in megabytes."""
    process = psutil.Process(service.process.pid)
    postgres, redis = sessions(stage.postgres, stage.redis)
    return {
        "tasks": service.ask("/tasks").json,
        "threads": process.num_threads(),
        "descriptors": process.num_fds(),
        "sockets": len(process.net_connections()),
        "sessions of PostgreSQL": postgres,
        "sessions of Redis": redis,
        "memory": process.memory_info().rss >> 20,
    }


def grown(before: Held, service: Service, stage: Stage) -> tuple[Held, list[str]]:
    """Tell what is held now, and what of it has grown and stays so."""
    deadline = time.monotonic() + LEFT
    most = {**before, "memory": before["memory"] + MEMORY, **SESSIONS}
    while True:
        now = held(service, stage)
        more = [name for name in now if now[name] > most[name]]
        if not more or time.monotonic() > deadline:
            return now, more
        time.sleep(0.1)
