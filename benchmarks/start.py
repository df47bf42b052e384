"""`python -m benchmarks.start`: how soon Vitals answers, and how evenly while it loads its drivers.

A bare FastAPI application under uvicorn is the reference. Each round starts both once.
"""

import http.client
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.contenders import BARE, SERVE
from benchmarks.process import Server
from tests.support.devservers.servers import reserve


ROUNDS = 15

# Requests in the first seconds after the first answer, each on a new connection.
RATE, SECONDS = 100, 3


def closed_ports(stack: ExitStack) -> Mapping[str, str]:
    """Return settings of stores that do not run, so that nothing else uses the CPU."""
    postgres, redis = (stack.enter_context(reserve()).getsockname()[1] for _ in range(2))
    return {
        "DATABASE_URL": f"postgresql://vitals@127.0.0.1:{postgres}/postgres",
        "REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        "POSTGRES_AUTH": "none",
        "REDIS_AUTH": "none",
    }


def liveness_times(port: int) -> list[float]:
    """Return the seconds of each liveness answer, from the moment when the request is due."""
    started, times = time.perf_counter(), list[float]()
    for number in range(RATE * SECONDS):
        due = started + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        connection.close()
        times.append(time.perf_counter() - due)
    return times


def main() -> None:
    """Measure, and print medians."""
    starts = dict[str, list[float]]()
    slowest, p99 = list[float](), list[float]()
    with ExitStack() as stack:
        environ = closed_ports(stack)
        for _ in range(ROUNDS):
            for contender in (BARE, SERVE):
                with Server(contender, environ) as server:
                    starts.setdefault(contender.name, []).append(server.cold_start)
                    if contender is SERVE:
                        times = liveness_times(server.port)
                        slowest.append(max(times))
                        p99.append(statistics.quantiles(times, n=100)[-1])
    for name, seconds in starts.items():
        print(f"{name}: first answer after {statistics.median(seconds):.3f} s")
    ratios = [one / bare for bare, one in zip(*starts.values(), strict=True)]
    print(f"ratio: {statistics.median(ratios):.2f}")
    print(
        f"liveness in the first {SECONDS} s: p99 {1000 * statistics.median(p99):.1f} ms,"
        f" slowest {1000 * statistics.median(slowest):.1f} ms"
    )


if __name__ == "__main__":
    main()
