import pytest

from app.api.page_format import (
    format_clock,
    format_duration,
    format_latency,
    format_rate,
    format_share,
    join_names,
)
from app.health import Instant


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0 s"),
        (0.49, "0.4 s"),
        (1, "1 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (192, "3 min 12 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (356_400, "4 d 3 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, told: str) -> None:
    """Rounded down: what has not lasted a minute is not told as one."""
    assert format_duration(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.000_004, "0.00 ms"),
        (0.000_82, "0.82 ms"),
        (0.000_996, "1.0 ms"),
        (0.004_12, "4.1 ms"),
        (0.009_96, "10 ms"),
        (0.123, "123 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
    ],
)
def test_a_latency_is_told_to_two_digits_or_so(seconds: float, told: str) -> None:
    """In the unit in which it is thought of."""
    assert format_latency(seconds) == told


@pytest.mark.parametrize(
    ("part", "told"), [(0, "0.00%"), (0.872, "87.20%"), (0.99999, "99.99%"), (1, "100%")]
)
def test_only_what_never_failed_is_told_as_a_hundred_percent(part: float, told: str) -> None:
    """A share is rounded down."""
    assert format_share(part) == told


@pytest.mark.parametrize(
    ("all_of_them", "told"),
    [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcde", "a, b, c and 2 more")],
)
def test_names_are_listed_as_in_a_sentence(all_of_them: str, told: str) -> None:
    """And no sentence has more than three."""
    assert join_names(list(all_of_them)) == told


@pytest.mark.parametrize(
    ("rate", "told"), [(12.4, "12 a second"), (1, "1 a second"), (0.1, "every 10 s")]
)
def test_a_rate_is_told_as_probes_are_configured(rate: float, told: str) -> None:
    """Often ones by the second, rare ones by the pause between them."""
    assert format_rate(rate) == told


def test_a_moment_of_another_day_is_told_with_its_day() -> None:
    """A history of two days would be misread otherwise."""
    moment = Instant(0, 1_763_892_001.25)
    assert format_clock(moment) == format_clock(moment, moment + 3600) == "10:00:01"
    assert format_clock(moment, moment + 86_400) == "23 Nov 10:00:01"
