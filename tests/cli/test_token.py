import time
from pathlib import Path

import jwt
import pytest

from tests.cli.conftest import Call


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("30d", 2592000)]
)
def test_a_token_is_signed_with_the_secret(call: Call, full: Path, ttl: str, seconds: int) -> None:
    """It names its scope and when it expires, and nothing else."""
    before = int(time.time())
    result = call("token", "--scope", "health:read", "--ttl", ttl, "--dir", full)
    signing = (full / "jwt_secret.txt").read_text()
    claims = jwt.decode(result.out.strip(), signing, ["HS256"])
    assert (result.code, result.err) == (0, "")
    assert claims.keys() == {"scope", "exp"}
    assert claims["scope"] == "health:read"
    assert before <= claims["exp"] - seconds <= time.time()


@pytest.mark.parametrize("variable", ["SECRETS_DIR", "JWT_SECRET_FILE"])
def test_the_secret_is_found_where_the_service_finds_it(
    call: Call, full: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """In a container the command needs no option."""
    place = full / "jwt_secret.txt" if variable == "JWT_SECRET_FILE" else full
    monkeypatch.setenv(variable, str(place))
    assert call("token").code == 0


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--scope", "health:write", "--scope must be health:read"),
        *[
            ("--ttl", ttl, "--ttl must be a number and a unit, as 90s, 15m, 1h or 30d")
            for ttl in ("1", "0h", "-1h", "1y", "1h30m", "999999d", "\u0661h", "")
        ],
    ],
)
def test_what_makes_no_token_is_told(
    call: Call, full: Path, option: str, value: str, line: str
) -> None:
    """In one line, and nothing is printed."""
    result = call("token", "--dir", full, option, value)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"vitals: Invalid value: {line} See vitals token --help.\n"


def test_a_secret_that_can_not_sign_is_told(call: Call, folder: Path) -> None:
    """As the service tells it."""
    folder.mkdir()
    file = folder / "jwt_secret"
    missing = f"jwt_secret: {file} is missing: write the secret into it, or mount it"
    assert call("token", "--dir", folder) == (1, "", f"vitals: {missing}\n")
    file.write_text("short")
    short = f"jwt_secret: {file} is shorter than 32 bytes: write a longer one"
    assert call("token", "--dir", folder) == (1, "", f"vitals: {short}\n")
