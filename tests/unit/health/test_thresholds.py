import pytest

from app.health import Reason, Status
from tests.unit.health.helpers import after


@pytest.mark.parametrize(
    ("thresholds", "results", "statuses"),
    [
        # The first result applies at once.
        ((3, 3), "P", "P"),
        ((3, 3), "F", "F"),
        # With thresholds of one so does every other.
        ((1, 1), "PFPFFP", "PFPFFP"),
        # A change waits for as many results in a row as its own threshold says.
        ((3, 1), "PFFFP", "PPPFP"),
        ((1, 3), "FPPPF", "FFFPF"),
        ((2, 3), "PFTPPPF", "PPFFFPP"),
        # Failures that are not consecutive never accumulate, nor do successes.
        ((2, 1), "PFPFPF", "PPPPPP"),
        ((3, 1), "PFFPFFPFFF", "PPPPPPPPPF"),
        ((1, 2), "FPFPFP", "FFFFFF"),
        ((1, 3), "FPPFPPFPPP", "FFFFFFFFFP"),
        # Results before a transition do not count towards the next one.
        ((2, 2), "PPPPFFFFPP", "PPPPPFFFFP"),
        # Stuck applies at once, and so does the first result after it, but only the first.
        ((3, 3), "PS", "PF"),
        ((3, 3), "S", "F"),
        ((3, 3), "SP", "FP"),
        ((3, 3), "SFPPP", "FFFFP"),
        ((3, 3), "PSSPFFF", "PFFPPPF"),
        ((3, 3), "FPPSP", "FFFFP"),
        # So does stale, and the first result after it.
        ((3, 3), "P-", "PF"),
        ((3, 3), "P-P", "PFP"),
        ((3, 3), "P-FPPP", "PFFFFP"),
        ((3, 3), "PFF-PFFF", "PPPFPPPF"),
        ((3, 3), "FPP-P", "FFFFP"),
        ((3, 3), "P--FPPP", "PFFFFFP"),
        # Stuck stays stuck however long there is no result.
        ((3, 3), "PS-P", "PFFP"),
    ],
)
def test_a_status_changes_only_as_its_thresholds_allow(
    thresholds: tuple[int, int], results: str, statuses: str
) -> None:
    """Each row has results, and for each of them the status after it."""
    reached = [
        after(results[: n + 1], thresholds).status.word[0].upper() for n in range(len(results))
    ]
    assert "".join(reached) == statuses


@pytest.mark.parametrize(
    ("results", "status", "reason", "failures"),
    [
        ("", Status.UNKNOWN, None, 0),
        ("P", Status.PASS, None, 0),
        ("PF", Status.PASS, Reason.REFUSED, 1),
        ("PFT", Status.PASS, Reason.TIMEOUT, 2),
        ("PFFP", Status.PASS, None, 0),
        ("PFFF", Status.FAIL, Reason.REFUSED, 3),
        ("PFFFT", Status.FAIL, Reason.TIMEOUT, 4),
        ("FP", Status.FAIL, Reason.REFUSED, 0),
        ("FPP", Status.FAIL, Reason.REFUSED, 0),
        ("FPPP", Status.PASS, None, 0),
        ("PS", Status.FAIL, Reason.STUCK, 1),
        ("PS-", Status.FAIL, Reason.STUCK, 1),
        ("P-", Status.FAIL, Reason.STALE, 0),
        ("FFF-", Status.FAIL, Reason.STALE, 3),
        ("P-P", Status.PASS, None, 0),
    ],
)
def test_failures_and_reason_show_before_the_threshold_is_reached(
    results: str, status: Status, reason: Reason | None, failures: int
) -> None:
    """The status is still the old one then."""
    known = after(results, (3, 3))
    assert (known.status, known.reason, known.failures) == (status, reason, failures)
