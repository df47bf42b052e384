import pytest
from redis import ResponseError

from app.checks.errors import is_password_unwanted


@pytest.mark.parametrize(
    ("reply", "is_unwanted"),
    [
        (
            "ERR AUTH <password> called without any password configured for the default user.",
            True,
        ),
        ("ERR Client sent AUTH, but no password is set", True),
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
    ],
)
def test_redis_says_in_two_ways_that_it_has_no_password(reply: str, *, is_unwanted: bool) -> None:
    """Since version 6, and before."""
    assert is_password_unwanted(ResponseError(reply)) is is_unwanted
