import pytest

from app.checks.urls import is_port


@pytest.mark.parametrize(
    ("port", "is_valid"), [(None, True), (0, False), (1, True), (65535, True), (65536, False)]
)
def test_a_port_may_be_missing(port: int | None, *, is_valid: bool) -> None:
    assert is_port(port) is is_valid
