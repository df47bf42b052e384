import pytest

from app.health import Reason, Status
from tests.health.helpers import after


@pytest.mark.parametrize(
    ("thresholds", "story", "statuses"),
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
        # What came before a turn does not count towards the next one.
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
        # Stuck stays stuck however long nothing is heard.
        ((3, 3), "PS-P", "PFFP"),
    ],
)
def test_a_status_turns_only_as_its_thresholds_allow(
    thresholds: tuple[int, int], story: str, statuses: str
) -> None:
    """Each line tells results and, letter by letter, the status that each of them leaves."""
    told = [after(story[: n + 1], thresholds).status.word[0].upper() for n in range(len(story))]
    assert "".join(told) == statuses


@pytest.mark.parametrize(
    ("story", "status", "reason", "failures"),
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
def test_failures_and_reason_show_while_a_threshold_holds_the_status(
    story: str, status: Status, reason: Reason | None, failures: int
) -> None:
    """What a status does not say yet, the count and the reason of the latest failure do."""
    known = after(story, (3, 3))
    assert (known.status, known.reason, known.failures) == (status, reason, failures)
