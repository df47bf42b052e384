"""The hint about a key that others can read."""

from pathlib import Path

import pytest
import trustme

from app.checks.kind import CheckSpec, Options
from app.checks.registry import find_kind
from app.cli.doctor import key_hints


@pytest.mark.parametrize("in_one_file", [False, True])
@pytest.mark.parametrize("kind", ["https", "tls", "rediss", "postgresql"])
def test_a_key_that_others_can_read_has_a_hint(
    tmp_path: Path, kind: str, in_one_file: bool
) -> None:
    """Its own file counts, or that of the certificate."""
    leaf, pem, key = trustme.CA().issue_cert("client"), tmp_path / "pem", tmp_path / "key"
    leaf.private_key_and_cert_chain_pem.write_to_path(pem)
    leaf.private_key_pem.write_to_path(key)
    own = {} if in_one_file else {"key": key}
    spec = spec_of(kind, {"certificate": pem, **own})
    for file in (pem, key):
        file.chmod(0o600)
    assert not list(key_hints(spec))
    guarded = pem if in_one_file else key
    guarded.chmod(0o640)
    [hint] = key_hints(spec)
    assert hint.startswith(
        f"Others can read the key in {guarded} (mode 0640). Set its mode to 0400"
    )


def spec_of(scheme: str, files: dict[str, Path]) -> CheckSpec[Options]:
    """Return a check with a client certificate."""
    names = {
        "rediss": {"certificate": "ssl_certfile", "key": "ssl_keyfile"},
        "postgresql": {"certificate": "sslcert", "key": "sslkey"},
    }
    url = f"{scheme}://user@host/db" if scheme == "postgresql" else f"{scheme}://host:1"
    options = {name: str(path) for name, path in files.items()}
    if scheme in names:
        url += "?" + "&".join(f"{names[scheme][name]}={path}" for name, path in options.items())
        options = {}
    found = find_kind(url)
    assert found
    return CheckSpec("it", found, found.options.model_validate({"url": url, **options}))


@pytest.mark.parametrize("url", ["https://host", "redis://host", "rediss://host", "tcp://host:1"])
def test_a_check_without_a_certificate_has_none(url: str) -> None:
    kind = find_kind(url)
    assert kind
    assert not list(key_hints(CheckSpec("it", kind, kind.options.model_validate({"url": url}))))
