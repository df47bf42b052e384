import pytest

from app.api.page_format import sparkline
from app.health import Slot


def slots(letters: str) -> list[Slot | None]:
    """Return a slot a letter: a digit is milliseconds, `x` a failure, `!` both, `-` empty."""
    kinds: dict[str, Slot | None] = {
        "-": None,
        "x": Slot(0, None, failed=True),
        "!": Slot(0, 0.004, failed=True),
    }
    return [
        Slot(0, int(letter) / 1000, failed=False) if letter.isdigit() else kinds[letter]
        for letter in letters
    ]


@pytest.mark.parametrize(
    ("letters", "line", "failures"),
    [
        ("----", "", ""),
        ("0404", "M0 30H1V2H2V30H3V2H4", ""),
        ("4--2", "M0 2H3V16H4", ""),
        ("4xx4", "M0 2H1M3 2H4", "M1 16h2"),
        ("4-x-", "M0 2H1", "M2 16h1"),
        ("!4x!", "M0 2H2M3 2H4", "M0 16h1M2 16h2"),
        ("xxxx", "", "M0 16h4"),
        ("--0-", "M2 30H3", ""),
        ("00-0", "M0 30H4", ""),
    ],
)
def test_the_line_reaches_from_zero_to_the_highest_latency(
    letters: str, line: str, failures: str
) -> None:
    """An outage interrupts it, an empty slot does not, and a single success is a step."""
    drawn = sparkline(slots(letters))
    assert (drawn.line, drawn.failures) == (line, failures)
    assert (drawn.width, drawn.height) == (4, 32)


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ("----", "no attempts"),
        ("1214", "up to 4.0 ms"),
        ("12x4", "up to 4.0 ms, with failures"),
        ("xxxx", "failures only"),
    ],
)
def test_the_sparkline_has_a_description(letters: str, words: str) -> None:
    """Screen readers read it."""
    assert sparkline(slots(letters)).words == words
