"""`python -m benchmarks`: everything is measured, told and, unless in haste, written down."""

import sys
from dataclasses import dataclass

from benchmarks import costs, rounds
from benchmarks.answer import fixed
from benchmarks.contenders import ALL, ASGI, IMPORTS, LIBRARIES, LIVE, OTHERS, RAW, SERVE
from benchmarks.costs import Costs
from benchmarks.page import table, write
from benchmarks.promises import promises
from benchmarks.stores import Stores, stores


@dataclass(frozen=True)
class Pace:
    """How thoroughly it is measured: rounds, seconds a load, requests before memory is read."""

    rounds: int
    seconds: int
    requests: int


THOROUGH, HASTY = Pace(9, 1, 10_000), Pace(1, 1, 500)


def measure_costs(them: Stores, environ: dict[str, str], pace: Pace) -> Costs:
    """Measure what does not come of load."""
    processes = (RAW, OTHERS[0], IMPORTS, ASGI, SERVE)
    starts, memory = costs.processes(processes, environ, pace.rounds, pace.requests)
    growth = costs.growth((SERVE, LIVE, ASGI, RAW), them, 30, pace.rounds, pace.seconds)
    monitor = costs.monitor(30, 5 * pace.seconds)
    them.count_statements()
    asked = {one: costs.asked(them, one, environ) for one in (SERVE, ASGI, *OTHERS)}
    return Costs(asked, starts, memory, growth, monitor)


def main(arguments: list[str]) -> None:
    """Measure; exit code 1 if a promise is not kept, but in haste."""
    hasty = "--quick" in arguments
    pace = HASTY if hasty else THOROUGH
    contenders = (SERVE, ASGI, RAW, *OTHERS[:2], LIBRARIES[0]) if hasty else ALL
    with stores() as them, fixed(them.environ) as environ:
        results = rounds.load(them, contenders, environ, rounds=pace.rounds, seconds=pace.seconds)
        if hasty:
            loads = rounds.LOADS
            rows = [
                [c.name, *(f"{results.ratio(load, c):.3f}" for load in loads)] for c in contenders
            ]
            print(table(["of raw ASGI", *loads], rows))
            return
        figures = measure_costs(them, environ, pace)
        print(write(results, figures, contenders, pace.rounds, pace.seconds))
    sys.exit(not all(promise.kept for promise in promises(results, figures)))


main(sys.argv[1:])
