"""Resources that the service uses, in its process and on the servers."""

import operator
import time
from collections import Counter
from functools import reduce

import psutil

from tests.chaos.stage import Environment
from tests.support.faults.servers import sessions
from tests.support.service import Service


# Seconds that a resource may outlive its fault: a look-up waits 5 s for a silent name server.
SETTLE = 7

# Megabytes that an allocator may keep.
MEMORY = 4

# A probe always has one session. The count before may be 0, as a restarted server loses sessions.
SESSIONS = {"sessions of PostgreSQL": 1, "sessions of Redis": 1}

# Number of samples for the peak. A sample taken while a session is renewed shows one socket less:
# one in fifty, or one in five on a busy machine.
SAMPLES = 7


def peak_usage(service: Service, environment: Environment) -> Counter[str]:
    """Return the maximum of several samples, for each resource."""
    return reduce(operator.or_, (resource_usage(service, environment) for _ in range(SAMPLES)))


def resource_usage(service: Service, environment: Environment) -> Counter[str]:
    """Return the count of each resource, and the memory in megabytes."""
    process = psutil.Process(service.process.pid)
    postgres, redis = sessions(environment.postgres, environment.redis)
    return Counter(
        {
            "tasks": service.ask("/tasks").json,
            "threads": process.num_threads(),
            "descriptors": process.num_fds(),
            "sockets": len(process.net_connections()),
            "sessions of PostgreSQL": postgres,
            "sessions of Redis": redis,
            "memory": process.memory_info().rss >> 20,
        }
    )


def find_leaks(
    before: Counter[str], service: Service, environment: Environment
) -> tuple[Counter[str], list[str]]:
    """Return the current usage, and the names of the resources that stay above *before*."""
    deadline = time.monotonic() + SETTLE
    limits = Counter({**before, **SESSIONS}) + Counter(memory=MEMORY)
    while True:
        now = resource_usage(service, environment)
        if not (leaks := now - limits) or time.monotonic() > deadline:
            return now, list(leaks)
        time.sleep(0.1)
