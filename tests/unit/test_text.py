import pytest

from app.text import cut


@pytest.mark.parametrize(("text", "shown"), [("12345", "12345"), ("123456", "1234…")])
def test_a_cut_text_has_the_length_that_is_allowed(text: str, shown: str) -> None:
    """With its ellipsis."""
    assert cut(text, 5) == shown
