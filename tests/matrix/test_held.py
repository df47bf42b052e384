from itertools import chain, repeat
from unittest import mock

import pytest

from tests.matrix import held


USUAL, RENEWING, LEAKING = ({"sockets": count, "memory": 80} for count in (35, 34, 36))


@pytest.mark.parametrize(("later", "more"), [(USUAL, []), (LEAKING, ["sockets"])])
def test_a_session_that_is_renewed_at_the_first_look_is_no_leak_later(
    later: held.Held, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is one more than usual still is."""
    looks = chain([RENEWING], repeat(USUAL, held.LOOKS - 1), repeat(later))
    monkeypatch.setattr(held, "LEFT", 0)
    monkeypatch.setattr(held, "held", lambda *_: next(looks))
    before = held.most_held(mock.sentinel.service, mock.sentinel.stage)
    assert held.grown(before, mock.sentinel.service, mock.sentinel.stage) == (later, more)
