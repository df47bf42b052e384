"""The metrics of a running service during an outage."""

from collections.abc import Iterator

import pytest

from tests.support.devservers import Valkey
from tests.support.faults.servers import killed
from tests.support.service import Service, on, running


BOUND = 0.2 + 0.4 + 0.5
SCRAPES = 200

# A check of a server that does not exist.
ABSENT = '{"absent": {"url": "http://127.0.0.1:1/"}}'


@pytest.fixture(name="service", scope="module")
def _service(own_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("log") / "log"
    with running(
        {**on(valkey=own_valkey), "HTTP_CHECKS": ABSENT, "OPTIONAL_CHECKS": "absent"}, log
    ) as service:
        yield service


def scrape(service: Service) -> dict[str, float]:
    """Scrape, and return the values by name and labels."""
    lines = service.ask("/metrics").body.decode().splitlines()
    series = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in series}


def test_an_outage_is_visible_in_the_metrics(service: Service, own_valkey: Valkey) -> None:
    """In the state, the counters and the time of the last success."""
    service.until("redis", None, BOUND)
    before = scrape(service)
    with killed(own_valkey):
        service.until("redis", "refused", BOUND)
        failing = scrape(service)
    service.until("redis", None, BOUND)
    after = scrape(service)
    state = 'health_check_state{check="redis",state="%s"}'
    states = [(one[state % "pass"], one[state % "fail"]) for one in (before, failing, after)]
    assert states == [(1, 0), (0, 1), (1, 0)]
    transitions = 'health_check_transitions_total{check="redis",from="%s",to="%s"}'
    for labels in (("pass", "fail"), ("fail", "pass")):
        assert after[transitions % labels] == before[transitions % labels] + 1
    failed = 'health_check_runs_total{check="redis",result="fail"}'
    assert after[failed] >= failing[failed] > before[failed]
    assert failing['health_check_consecutive_failures{check="redis"}'] >= 1
    last = 'health_check_last_success_timestamp_seconds{check="redis"}'
    assert before[last] <= failing[last] < after[last]


def test_a_check_that_never_passed_has_no_last_success(service: Service) -> None:
    """The series appears with the first success."""
    service.until("absent", "refused", BOUND)
    names = scrape(service)
    assert 'health_check_state{check="absent",state="fail"}' in names
    assert 'health_check_last_success_timestamp_seconds{check="absent"}' not in names


def test_a_scrape_runs_no_check(service: Service) -> None:
    """Attempts follow their interval, however often Prometheus scrapes."""
    count = 'health_check_duration_seconds_count{check="redis"}'
    replies = [service.ask("/metrics") for _ in range(SCRAPES)]
    counts = [
        float(line.rpartition(" ")[2])
        for reply in (replies[0], replies[-1])
        for line in reply.body.decode().splitlines()
        if line.startswith(count)
    ]
    # Intervals shorten by a tenth at most; one may begin at either end.
    seconds = replies[-1].at - replies[0].at
    assert 0 <= counts[1] - counts[0] <= seconds / (0.2 * 0.9) + 2
