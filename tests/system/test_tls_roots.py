import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings.urls import parse_postgres_url, parse_redis_url
from tests.system.certificates import Certificates


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
def test_a_root_that_is_no_certificate_is_refused(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """When the settings are read, by the check's own function; a pipe would hang OpenSSL."""
    file = tmp_path / "root.pem"
    make(file)
    with pytest.raises(ValueError, match="sslrootcert"):
        parse_postgres_url(f"postgresql://user@host/db?sslmode=verify-full&sslrootcert={file}")
    with pytest.raises(ValueError, match="ssl_ca_certs"):
        parse_redis_url(f"rediss://host/0?ssl_ca_certs={file}")


@pytest.mark.parametrize("mode", ["", "sslmode=disable&", "sslmode=allow&", "sslmode=prefer&"])
def test_a_root_that_would_verify_nothing_is_refused(certificates: Certificates, mode: str) -> None:
    """Who names one wants to be protected, and `prefer`, the default, looks at no certificate."""
    with pytest.raises(ValueError, match="verify-full"):
        parse_postgres_url(f"postgresql://user@host/db?{mode}sslrootcert={certificates.root}")
