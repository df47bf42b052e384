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
    ("seconds", "expected"),
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
def test_a_duration_has_its_two_largest_units(seconds: float, expected: str) -> None:
    """It is rounded down."""
    assert format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
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
def test_a_latency_has_about_two_digits(seconds: float, expected: str) -> None:
    """In milliseconds below a second."""
    assert format_latency(seconds) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0, "0.00%"), (0.872, "87.20%"), (0.99999, "99.99%"), (1, "100%")]
)
def test_a_share_is_rounded_down(share: float, expected: str) -> None:
    """So only a check that never failed has 100%."""
    assert format_share(share) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcde", "a, b, c and 2 more")],
)
def test_names_are_joined_as_in_a_sentence(names: str, expected: str) -> None:
    """With three of them at most."""
    assert join_names(list(names)) == expected


@pytest.mark.parametrize(
    ("rate", "expected"), [(12.4, "12 per second"), (1, "1 per second"), (0.1, "every 10 s")]
)
def test_a_low_rate_is_an_interval(rate: float, expected: str) -> None:
    """Below one request per second."""
    assert format_rate(rate) == expected


def test_a_time_of_another_day_has_its_date() -> None:
    """The history may cover several days."""
    time = Instant(0, 1_763_892_001.25)
    assert format_clock(time) == format_clock(time, time + 3600) == "10:00:01"
    assert format_clock(time, time + 86_400) == "23 Nov 10:00:01"
