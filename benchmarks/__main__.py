"""`python -m benchmarks`: measures everything, prints the results and writes the page.

With `--quick` it measures the load alone, and writes nothing.
"""

import sys
from dataclasses import dataclass

from benchmarks import checks, costs, rounds
from benchmarks.answer import recorded_answer
from benchmarks.contenders import ALL, ASGI, BARE, IMPORTS, LIBRARIES, LIVE, OTHERS, RAW, SERVE
from benchmarks.costs import Costs
from benchmarks.markdown import table
from benchmarks.page import write
from benchmarks.promises import targets
from benchmarks.stores import Stores, run_stores


@dataclass(frozen=True)
class Effort:
    """Number of rounds, seconds per load, and requests before memory is measured."""

    rounds: int
    seconds: int
    requests: int


THOROUGH, QUICK = Effort(9, 1, 10_000), Effort(1, 1, 500)


def measure_costs(stores: Stores, environ: dict[str, str], effort: Effort) -> Costs:
    """Measure everything that does not depend on load."""
    processes = (RAW, BARE, IMPORTS, ASGI, SERVE)
    starts, memory = costs.processes(processes, environ, effort.rounds, effort.requests)
    growth = costs.growth((SERVE, LIVE, ASGI, RAW), stores, 30, effort.rounds, effort.seconds)
    monitor = costs.monitor(30, 5 * effort.seconds)
    each_check = checks.measure(stores, environ, effort.rounds, effort.seconds)
    stores.log_statements()
    queries = {one: costs.queries(stores, one, environ) for one in (SERVE, ASGI, *OTHERS)}
    return Costs(queries, starts, memory, growth, monitor, each_check)


def main(arguments: list[str]) -> None:
    """Measure; without `--quick`, exit with 1 if a target is missed."""
    quick = "--quick" in arguments
    effort = QUICK if quick else THOROUGH
    contenders = (SERVE, ASGI, RAW, *OTHERS[:2], LIBRARIES[0]) if quick else ALL
    with run_stores() as stores, recorded_answer(stores.environ) as environ:
        results = rounds.load(
            stores, contenders, environ, rounds=effort.rounds, seconds=effort.seconds
        )
        if quick:
            loads = rounds.LOADS
            rows = [
                [c.name, *(f"{results.ratio(load, c):.3f}" for load in loads)] for c in contenders
            ]
            print(table(["relative to raw ASGI", *loads], rows))
            return
        figures = measure_costs(stores, environ, effort)
        print(write(results, figures, contenders, effort.rounds, effort.seconds))
    sys.exit(not all(target.met for target in targets(results, figures)))


main(sys.argv[1:])
