import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.checks.postgres import parse_postgres_url
from app.checks.redis import parse_redis_url
from tests.system.certificates import Certificates


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
def test_a_root_that_is_not_a_certificate_is_rejected(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """Parsing the settings fails. OpenSSL would block on a pipe."""
    file = tmp_path / "root.pem"
    make(file)
    with pytest.raises(ValueError, match="sslrootcert"):
        parse_postgres_url(f"postgresql://user@host/db?sslmode=verify-full&sslrootcert={file}")
    with pytest.raises(ValueError, match="ssl_ca_certs"):
        parse_redis_url(f"rediss://host/0?ssl_ca_certs={file}")


@pytest.mark.parametrize("mode", ["", "sslmode=disable&", "sslmode=allow&", "sslmode=prefer&"])
def test_a_root_that_would_not_be_used_is_rejected(certificates: Certificates, mode: str) -> None:
    """A root is meant to protect, but modes up to `prefer`, the default, verify no certificate."""
    with pytest.raises(ValueError, match="verify-full"):
        parse_postgres_url(f"postgresql://user@host/db?{mode}sslrootcert={certificates.root}")
