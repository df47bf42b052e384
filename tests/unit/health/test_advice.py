from app.health import Reason
from app.health.reasons import ADVICE


def test_every_reason_has_advice() -> None:
    """Texts that are unique, and whole sentences."""
    assert ADVICE.keys() == set(Reason)
    texts = [text for advice in ADVICE.values() for text in (advice.words, advice.remedy)]
    assert all(text.endswith(".") for text in texts)
    assert len(set(texts)) == 2 * len(Reason)
