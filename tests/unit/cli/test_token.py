import time
from pathlib import Path

import jwt
import pytest

from tests.unit.cli.conftest import Call


@pytest.mark.parametrize(
    ("ttl", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3600), ("30d", 2592000)]
)
def test_a_token_is_signed_with_the_secret(call: Call, full: Path, ttl: str, seconds: int) -> None:
    """It has its scope and its expiry, and nothing else."""
    before = int(time.time())
    result = call("token", "--scope", "health:read", "--ttl", ttl, "--dir", full)
    signing = (full / "jwt_secret.txt").read_text()
    claims = jwt.decode(result.out.strip(), signing, ["HS256"])
    assert (result.code, result.err) == (0, "")
    assert claims.keys() == {"scope", "exp"}
    assert claims["scope"] == "health:read"
    assert before <= claims["exp"] - seconds <= time.time()


@pytest.mark.parametrize("variable", ["SECRETS_DIR", "JWT_SECRET_FILE"])
def test_the_secret_is_found_as_by_the_service(
    call: Call, full: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The command needs no option in a container."""
    place = full / "jwt_secret.txt" if variable == "JWT_SECRET_FILE" else full
    monkeypatch.setenv(variable, str(place))
    assert call("token").code == 0


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--scope", "health:write", "--scope must be health:read."),
        *[
            ("--ttl", ttl, "--ttl must be a number and a unit, such as 90s, 15m, 1h or 30d.")
            for ttl in ("1", "0h", "-1h", "1y", "1h30m", "999999d", "\u0661h", "")
        ],
    ],
)
def test_an_invalid_option_is_rejected(
    call: Call, full: Path, option: str, value: str, line: str
) -> None:
    """In one line, and no token is printed."""
    result = call("token", "--dir", full, option, value)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"vitals: Invalid value: {line} See vitals token --help.\n"


def test_an_unusable_signing_key_is_reported(call: Call, folder: Path) -> None:
    """In the words of the service."""
    folder.mkdir()
    file = folder / "jwt_secret"
    missing = f"jwt_secret: {file} is missing. Write the secret into it, or mount it."
    assert call("token", "--dir", folder) == (1, "", f"vitals: {missing}\n")
    file.write_text("short")
    short = f"jwt_secret: {file} is shorter than 32 bytes. Write a longer one."
    assert call("token", "--dir", folder) == (1, "", f"vitals: {short}\n")
