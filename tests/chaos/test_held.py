from collections import Counter
from itertools import chain, repeat
from unittest import mock

import pytest

from tests.chaos import held


USUAL, RENEWING, LEAKING = (Counter(sockets=count, memory=80) for count in (35, 34, 36))


@pytest.mark.parametrize(("later", "leaks"), [(USUAL, []), (LEAKING, ["sockets"])])
def test_a_session_renewed_during_the_first_sample_is_no_leak(
    later: Counter[str], leaks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One socket more than the peak still is a leak."""
    samples = chain([RENEWING], repeat(USUAL, held.SAMPLES - 1), repeat(later))
    monkeypatch.setattr(held, "SETTLE", 0)
    monkeypatch.setattr(held, "resource_usage", lambda *_: next(samples))
    service, environment = mock.sentinel.service, mock.sentinel.environment
    before = held.peak_usage(service, environment)
    assert held.find_leaks(before, service, environment) == (later, leaks)
